// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Summary is what a log is that was found whole.
type Summary struct {
	Entries uint64 `json:"entries"`
	Last    string `json:"last_hash"` // of the last line; 64 zeros when there is none
}

// Verify reads a whole log. The error names the first line that is not as it was written.
func Verify(r io.Reader) (Summary, error) {
	s := Summary{Last: firstPrev()}
	lines := bufio.NewReaderSize(r, lineMax)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return s, nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			return s, fmt.Errorf("line %d has no end", s.Entries+1)
		}
		if err != nil {
			return s, err
		}
		if err := s.next(line[:len(line)-1]); err != nil {
			return s, fmt.Errorf("line %d: %w", s.Entries+1, err)
		}
	}
}

// next checks one line. That it is byte by byte what Append writes leaves no room for a second reading of it.
func (s *Summary) next(line []byte) error {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return errors.New("it is not an entry")
	}
	again, err := json.Marshal(e)
	if err != nil || !bytes.Equal(again, line) {
		return errors.New("it is not as it was written")
	}
	hash, err := e.hash()
	switch {
	case err != nil:
		return err
	case hash != e.Hash:
		return errors.New("it was changed: its hash is wrong")
	case e.Prev != s.Last:
		return errors.New("what was before it is missing or was changed")
	case e.Seq != s.Entries+1:
		return fmt.Errorf("it has the number %d", e.Seq)
	}
	s.Entries, s.Last = e.Seq, e.Hash
	return nil
}
