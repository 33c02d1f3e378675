// SPDX-License-Identifier: Apache-2.0

// Package audit writes and verifies audit logs: one JSON object on each line, each with the hash of itself and of the line before, so
// that a line that was changed, left out, put in or moved is found. Lines that were cut off at the end are found only by who knows how
// many there were, and a log that was written anew from some line on only by who knows a hash: keep the last line's elsewhere, now and then.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Entry is one line: who did what to what, from where, and how it ended. Keys and values of objects are never in it.
type Entry struct {
	Seq    uint64    `json:"seq"` // from 1
	Time   time.Time `json:"time"`
	Who    string    `json:"who"` // "cert:alice"
	From   string    `json:"from"`
	What   string    `json:"what"`  // "/tarn.v1.PoolService/CreatePool"
	Where  string    `json:"where"` // "tank"
	Result string    `json:"result"`
	ID     string    `json:"request_id"`
	Note   string    `json:"note,omitempty"`
	Prev   string    `json:"prev"` // hash of the line before; of the first line 64 zeros
	Hash   string    `json:"hash"` // SHA-256 of this line without the hash
}

// lineMax is how long a line can be.
const lineMax = 16 << 10

func firstPrev() string { return hex.EncodeToString(make([]byte, sha256.Size)) }

// hash is the hash that an entry must have.
func (e Entry) hash() (string, error) {
	e.Hash = ""
	text, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Log is an audit log that is written. It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	file *os.File
	size int64 // of the lines that are whole
	seq  uint64
	prev string
}

// Open opens a log to append to it, and makes it when it is not there. A last line that is not whole, for the machine went down, is cut
// off, and the next entry says so. It is refused while another process has it open.
func Open(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("audit log %s: another gateway writes it: %w", path, err), file.Close())
	}
	l := &Log{file: file, prev: firstPrev()}
	if err := l.resume(); err != nil {
		return nil, errors.Join(fmt.Errorf("audit log %s: %w", path, err), file.Close())
	}
	return l, nil
}

// resume reads the last line.
func (l *Log) resume() error {
	end, err := l.file.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return err
	}
	tail := make([]byte, min(end, 2*lineMax))
	if _, err := l.file.ReadAt(tail, end-int64(len(tail))); err != nil {
		return err
	}
	whole := bytes.LastIndexByte(tail, '\n') + 1
	tail, rest := tail[:whole], tail[whole:]
	l.size = end - int64(len(rest))
	tail = bytes.TrimSuffix(tail, []byte("\n"))
	if len(tail) > 0 {
		var last Entry
		if err := json.Unmarshal(tail[bytes.LastIndexByte(tail, '\n')+1:], &last); err != nil {
			return fmt.Errorf("its last line is not an entry: move the file away, and find out why: %w", err)
		}
		l.seq, l.prev = last.Seq, last.Hash
	}
	return l.cutOff(rest)
}

// cutOff cuts off a line that was not written to its end, when it is one: another file's text is left as it is.
func (l *Log) cutOff(rest []byte) error {
	const begin = `{"seq":`
	n := min(len(rest), len(begin))
	switch {
	case len(rest) == 0:
		return nil
	case string(rest[:n]) != begin[:n] && len(bytes.Trim(rest, "\x00")) > 0: // zeros are what a file system may leave
		return errors.New("it does not end like an audit log: give another file, or move this one away")
	}
	return l.Append(Entry{Who: "gateway", What: "open", Result: "OK", Note: "the last line was not whole and was cut off"}, true)
}

// Append writes an entry; it fills in its number, its time and the hashes. With sync the entry is durable when Append returns. An entry
// that could not be written leaves nothing behind, and the next one is in its place.
func (l *Log) Append(e Entry, sync bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Seq, e.Time, e.Prev = l.seq+1, time.Now().UTC(), l.prev
	hash, err := e.hash()
	if err != nil {
		return err
	}
	e.Hash = hash
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if len(line) >= lineMax {
		return fmt.Errorf("the entry has %d bytes, and at most %d fit", len(line), lineMax)
	}
	if err := l.write(append(line, '\n'), sync); err != nil {
		return err
	}
	l.seq, l.prev = e.Seq, e.Hash
	return nil
}

// write puts the line behind the last whole one: what a failed write left there is written over, and cut off.
func (l *Log) write(line []byte, sync bool) error {
	if err := l.file.Truncate(l.size); err != nil {
		return err
	}
	if _, err := l.file.WriteAt(line, l.size); err != nil {
		return errors.Join(err, l.file.Truncate(l.size))
	}
	if sync {
		if err := l.file.Sync(); err != nil {
			return err
		}
	}
	l.size += int64(len(line))
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.file.Sync(), l.file.Close())
}
