// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// line is a line of the JSON form. One of Tarn, Attr, Object or Name64, Key or Key64, Data64 and End is set. Bytes that are UTF-8 stand as text, others in
// base64. A file that a person writes may leave out the header and the end; one that has a header must have its end.
type line struct {
	Tarn    *Header `json:"tarn,omitempty"`
	Attr    *string `json:"attribute,omitempty"` // with value or value64
	Object  *string `json:"object,omitempty"`
	Name64  []byte  `json:"object64,omitempty"`
	Key     *string `json:"key,omitempty"`
	Key64   []byte  `json:"key64,omitempty"`
	Value   *string `json:"value,omitempty"`
	Value64 *[]byte `json:"value64,omitempty"`
	Size    *uint64 `json:"size,omitempty"` // the value follows in lines with data64
	Data64  []byte  `json:"data64,omitempty"`
	End     *Total  `json:"end,omitempty"`
}

// lineMax is the longest line, in bytes: a key and a value whose every byte takes six.
const lineMax = 1 << 20

// lineWriter writes the JSON form.
type lineWriter struct{ w io.Writer }

func (l *lineWriter) put(r record) error {
	var out line
	switch r.kind {
	case kindHeader:
		out.Tarn = &r.header
	case kindObject:
		out.setObject(r.name)
	case kindAttr:
		name := string(r.key) // which is UTF-8
		out.Attr = &name
		out.setValue(r.value)
	case kindEntry:
		out.setKey(r.key)
		out.setValue(r.value)
	case kindLarge:
		out.setKey(r.key)
		out.Size = &r.size
	case kindPiece:
		out.Data64 = r.value
	case kindEnd:
		out.End = &r.total
	}
	enc := json.NewEncoder(l.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func (l *line) setObject(name string) {
	if utf8.ValidString(name) {
		l.Object = &name
	} else {
		l.Name64 = []byte(name)
	}
}

func (l *line) setKey(key []byte) {
	if text := string(key); utf8.ValidString(text) {
		l.Key = &text
	} else {
		l.Key64 = key
	}
}

func (l *line) setValue(value []byte) {
	if text := string(value); utf8.ValidString(text) {
		l.Value = &text
	} else {
		l.Value64 = &value
	}
}

// lineReader reads the JSON form.
type lineReader struct {
	in      *counter
	began   uint64
	bare    bool // there was no header
	queued  *record
	grammar grammar
}

func (l *lineReader) offset() uint64 { return l.began }

func (l *lineReader) next() (record, error) {
	if l.queued != nil {
		r := *l.queued
		l.queued = nil
		return l.checked(r)
	}
	r, err := l.read()
	if err != nil {
		return record{}, err
	}
	if !l.grammar.begun && r.kind != kindHeader {
		first := r
		l.bare, l.queued = true, &first
		r = record{kind: kindHeader, header: Header{Version: Version}}
	}
	return l.checked(r)
}

func (l *lineReader) checked(r record) (record, error) {
	if err := l.grammar.step(r); err != nil {
		return record{}, damaged(l.began, "%v", err)
	}
	return r, nil
}

// read reads a line that is not empty. Behind the last one stands io.EOF, or the end of a stream that has none.
func (l *lineReader) read() (record, error) {
	for {
		l.began = l.in.at
		text, err := l.line()
		switch {
		case err == io.EOF && l.grammar.end:
			return record{}, io.EOF
		case err == io.EOF && l.bare && l.grammar.left == 0:
			return record{kind: kindEnd, total: l.grammar.total}, nil
		case err == io.EOF:
			return record{}, damaged(l.began, "it ends there, before its end")
		case err != nil:
			return record{}, err
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return l.parse(text)
		}
	}
}

// line is the next line, which is a copy.
func (l *lineReader) line() (text []byte, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		l.in.at += uint64(len(part))
		text = append(text, part...)
		switch {
		case len(text) > lineMax:
			return nil, damaged(l.began, "a line has more than %d bytes", lineMax)
		case err == nil, err == io.EOF && len(text) > 0:
			return text, nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		}
		return nil, err
	}
}

func (l *lineReader) parse(text []byte) (record, error) {
	var in line
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return record{}, damaged(l.began, "this line is not one of a stream: %v", err)
	}
	if dec.More() {
		return record{}, damaged(l.began, "something stands behind the object of this line")
	}
	r, err := in.record()
	if err != nil {
		return r, damaged(l.began, "%v", err)
	}
	if r.kind == kindHeader {
		return r, checkHeader(r.header)
	}
	return r, nil
}

func (l *line) record() (r record, err error) {
	set := 0
	for k, is := range map[kind]bool{
		kindHeader: l.Tarn != nil, kindObject: l.Object != nil || l.Name64 != nil, kindPiece: l.Data64 != nil, kindEnd: l.End != nil,
		kindEntry: l.Key != nil || l.Key64 != nil, kindAttr: l.Attr != nil,
	} {
		if is {
			r.kind = k
			set++
		}
	}
	if set != 1 {
		return r, fmt.Errorf("this line is %d things; it must be one of tarn, attribute, object, key, data64 and end", set)
	}
	switch r.kind {
	case kindHeader:
		r.header = *l.Tarn
	case kindObject:
		if r.name = string(l.Name64); l.Object != nil {
			r.name = *l.Object
		}
	case kindPiece:
		r.value = l.Data64
	case kindEnd:
		r.total = *l.End
	default:
		return l.entry()
	}
	return r, nil
}

func (l *line) entry() (r record, err error) {
	r.key = l.Key64
	for _, text := range []*string{l.Key, l.Attr} {
		if text != nil {
			r.key = []byte(*text)
		}
	}
	if r.kind = kindEntry; l.Attr != nil {
		r.kind = kindAttr
	}
	values := 0
	if l.Value != nil {
		r.value = []byte(*l.Value)
		values++
	}
	if l.Value64 != nil {
		r.value = *l.Value64
		values++
	}
	if l.Size != nil && l.Attr == nil {
		r.kind, r.size = kindLarge, *l.Size
		values++
	}
	if values != 1 || l.Key != nil && l.Key64 != nil {
		return r, fmt.Errorf("an entry has one of key and key64, and one of value, value64 and size")
	}
	return r, nil
}
