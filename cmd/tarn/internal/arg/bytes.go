// SPDX-License-Identifier: Apache-2.0

package arg

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// Encoding is how keys and values are typed and shown.
type Encoding string

// The encodings.
const (
	UTF8   Encoding = "utf8"
	Hex    Encoding = "hex"
	Base64 Encoding = "base64"
)

// Bytes reads the keys and values of one command line. "@FILE" is the content of a file, "-" what comes from Stdin, "@@x" the text
// "@x"; anything else is decoded. Literal takes "@" and "-" as they are. What comes from a file or from Stdin is never decoded.
type Bytes struct {
	Encoding Encoding
	Literal  bool
	Stdin    io.Reader
	used     bool // Stdin has been read: it can be read once
}

// Key reads a key. Whether it may be empty is for the caller to say.
func (b *Bytes) Key(text string) ([]byte, error) {
	src, err := b.Open(text)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	data, err := io.ReadAll(io.LimitReader(src, system.KeyMax+1))
	if err != nil {
		return nil, fromOS(err, "reading "+text)
	}
	if len(data) > system.KeyMax {
		return nil, errno.New("", "", errno.Key2Big, "the key is longer than 65536 bytes")
	}
	return data, nil
}

// Open returns the bytes of a key or value as a stream, for values of any size.
func (b *Bytes) Open(text string) (io.ReadCloser, error) {
	switch {
	case b.Literal:
		return b.decoded(text)
	case text == "-":
		return b.stdin()
	case strings.HasPrefix(text, "@@"):
		return b.decoded(text[1:])
	case strings.HasPrefix(text, "@"):
		f, err := os.Open(text[1:])
		if err != nil {
			return nil, fromOS(err, "reading "+text)
		}
		return f, nil
	}
	return b.decoded(text)
}

func (b *Bytes) stdin() (io.ReadCloser, error) {
	if b.used {
		return nil, invalid("\"-\" stands twice on the command line, but the standard input can be read once")
	}
	b.used = true
	return io.NopCloser(b.Stdin), nil
}

func (b *Bytes) decoded(text string) (io.ReadCloser, error) {
	data := []byte(text)
	var err error
	switch b.Encoding {
	case Hex:
		data, err = hex.DecodeString(text)
	case Base64:
		data, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil {
		return nil, invalid("%q is not %s: %v", text, b.Encoding, err)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func fromOS(err error, what string) error {
	code := errno.Misc
	switch {
	case os.IsNotExist(err):
		code = errno.NoEntry
	case os.IsPermission(err):
		code = errno.NoPerm
	}
	e := errno.New("", "", code, what+": "+err.Error())
	e.Err = err
	return e
}

// Encode writes bytes in an encoding. UTF8 writes them as they are.
func (e Encoding) Encode(b []byte) string {
	switch e {
	case Hex:
		return hex.EncodeToString(b)
	case Base64:
		return base64.StdEncoding.EncodeToString(b)
	}
	return string(b)
}

// Exact is e, or Base64 when e is UTF8 and one of the texts is not: so that JSON holds every byte.
func (e Encoding) Exact(texts ...[]byte) Encoding {
	for _, t := range texts {
		if e == UTF8 && !utf8.Valid(t) {
			return Base64
		}
	}
	return e
}

// Show writes bytes on one line: in UTF8 as they are when they are printable, else quoted with escapes.
func (e Encoding) Show(b []byte) string {
	s := e.Encode(b)
	if e != UTF8 || (utf8.ValidString(s) && !strings.HasPrefix(s, `"`) && strings.IndexFunc(s, unprintable) < 0) {
		return s
	}
	return strconv.Quote(s)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
