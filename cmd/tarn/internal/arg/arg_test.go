// SPDX-License-Identifier: Apache-2.0

package arg

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "4096": 4096, "1B": 1, "512K": 512 << 10, "512k": 512 << 10, "10G": 10 << 30, "10GB": 10 << 30, "10GiB": 10 << 30,
		"10gib": 10 << 30, "1.5T": 3 << 39, "0.5K": 512, "2P": 2 << 50, "1E": 1 << 60, "15E": 15 << 60,
		"18446744073709551615": math.MaxUint64,
	} {
		if got, err := Size(text); err != nil || got != want {
			t.Errorf("Size(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "G", "1X", "1.5", "1.0001K", "-1", "+1", "1e3", "0x10", "1 G", "16E", "18446744073709551616", "Inf", "NaN",
		"1KK", "1iB", "1_0", "GiB1", "٣"} {
		if got, err := Size(text); errno.CodeOf(err) != errno.Inval {
			t.Errorf("Size(%q) = %d, %v; want INVAL", text, got, err)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB", 1<<20 - 1: "1 MiB", 10 << 30: "10 GiB",
		959<<20 + 943718: "959.9 MiB", math.MaxUint64: "16 EiB",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"1G", "1.5TiB", "99999999999999999999E", "0.1K", "..", "1e400K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := Size(text); err != nil && (n != 0 || errno.CodeOf(err) != errno.Inval) {
			t.Errorf("Size(%q) = %d, %v", text, n, err)
		}
	})
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		level int
		args  []string
		want  string // "" for an error
	}{
		{Pool, []string{"tank"}, "tank"},
		{Container, []string{"tank/neo"}, "tank/neo"},
		{Container, []string{"tank", "neo"}, "tank/neo"},
		{Object, []string{"tank/neo/stadium"}, "tank/neo/stadium"},
		{Object, []string{"tank/neo", "stadium"}, "tank/neo/stadium"},
		{Pool, []string{"tank/neo"}, ""}, {Container, []string{"tank"}, ""}, {Object, []string{"a/b/c/d"}, ""}, {Pool, []string{""}, ""},
		{Container, []string{"tank/"}, ""}, {Object, []string{"//"}, ""}, {Container, []string{"/neo"}, ""},
	} {
		got, err := ParsePath(c.level, c.args...)
		if got.String() != c.want || (c.want == "") != (errno.CodeOf(err) == errno.Inval) {
			t.Errorf("ParsePath(%d, %q) = %q, %v; want %q", c.level, c.args, got, err, c.want)
		}
	}
}

func TestBytes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("\x00from\nfile"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		b          Bytes
		text, want string
		code       errno.Code
	}{
		{Bytes{}, "Barcelona", "Barcelona", 0},
		{Bytes{}, "", "", 0},
		{Bytes{}, "@" + file, "\x00from\nfile", 0},
		{Bytes{Encoding: Hex}, "@" + file, "\x00from\nfile", 0},
		{Bytes{}, "@@home", "@home", 0},
		{Bytes{}, "-", "typed", 0},
		{Bytes{Encoding: Base64}, "-", "typed", 0},
		{Bytes{Literal: true}, "-", "-", 0},
		{Bytes{Literal: true}, "@@x", "@@x", 0},
		{Bytes{Encoding: Hex}, "00fF", "\x00\xff", 0},
		{Bytes{Encoding: Base64}, "AP8=", "\x00\xff", 0},
		{Bytes{Encoding: Hex}, "0", "", errno.Inval},
		{Bytes{Encoding: Base64}, "AP8", "", errno.Inval},
		{Bytes{}, "@" + file + ".none", "", errno.NoEntry},
		{Bytes{}, strings.Repeat("k", 65536), strings.Repeat("k", 65536), 0},
		{Bytes{}, strings.Repeat("k", 65537), "", errno.Key2Big},
	} {
		c.b.Stdin = strings.NewReader("typed")
		got, err := c.b.Key(c.text)
		if string(got) != c.want || errno.CodeOf(err) != c.code {
			t.Errorf("%+v: Key(%.20q) = %.20q, %v; want %.20q", c.b, c.text, got, err, c.want)
		}
	}
}

func TestStdinOnce(t *testing.T) {
	b := Bytes{Stdin: strings.NewReader("typed")}
	if _, err := b.Key("-"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open("-"); errno.CodeOf(err) != errno.Inval {
		t.Errorf("the standard input was read twice: %v", err)
	}
	b = Bytes{Stdin: io.MultiReader(strings.NewReader("x"), brokenReader{})}
	if _, err := b.Key("-"); !errors.Is(err, errBroken) {
		t.Errorf("a standard input that breaks: %v", err)
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestShow(t *testing.T) {
	for _, c := range []struct {
		e          Encoding
		text, want string
	}{
		{UTF8, "Köln", "Köln"}, {UTF8, "Camp Nou", "Camp Nou"}, {UTF8, "", ""}, {UTF8, "a\tb\n", `"a\tb\n"`}, {UTF8, "\xff", `"\xff"`},
		{UTF8, "\x1b[31m", `"\x1b[31m"`}, {UTF8, `"quoted"`, `"\"quoted\""`}, {Hex, "\x00a", "0061"}, {Base64, "\x00\xff", "AP8="},
	} {
		if got := c.e.Show([]byte(c.text)); got != c.want {
			t.Errorf("%s: Show(%q) = %s, want %s", c.e, c.text, got, c.want)
		}
	}
	if UTF8.Exact([]byte("a"), []byte("\xff")) != Base64 || UTF8.Exact([]byte("a")) != UTF8 || Hex.Exact([]byte("\xff")) != Hex {
		t.Error("Exact")
	}
}
