// SPDX-License-Identifier: Apache-2.0

package token

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/role"
)

// signed is a token of alice's, and the keys that verify it.
func signed(t testing.TB) (string, Keys) {
	t.Helper()
	private, public, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParsePrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParsePublic(public)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Sign(key, Token{Principal: "alice", Roles: role.Writer | role.Raw, Audience: "tarn"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return text, keys
}

func TestSignVerify(t *testing.T) {
	text, keys := signed(t)
	got, err := Verify(text, keys, "tarn", time.Now())
	if err != nil || got.Principal != "alice" || got.Roles != role.Writer|role.Raw || got.Audience != "tarn" || got.ID == "" {
		t.Errorf("%+v, %v", got, err)
	}
	if shown, err := Show(text); err != nil || !reflect.DeepEqual(shown, got) {
		t.Errorf("shown: %+v, %v, want %+v", shown, err, got)
	}
	if _, err := Verify(text, keys, "elsewhere", time.Now()); err == nil {
		t.Error("another audience")
	}
	if _, err := Verify(text, Keys{}, "tarn", time.Now()); err == nil {
		t.Error("no key")
	}
}

// TestClock: a token is taken from its issue to its expiry, and for the skew before and after, and not for a second more.
func TestClock(t *testing.T) {
	text, keys := signed(t)
	tok, err := Show(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at time.Time
		ok bool
	}{
		{tok.Issued.Add(-Skew + time.Second), true}, {tok.Issued.Add(-Skew - time.Second), false},
		{tok.Expires.Add(Skew - time.Second), true}, {tok.Expires.Add(Skew + time.Second), false},
		{tok.Expires.AddDate(10, 0, 0), false}, {tok.Issued.AddDate(-10, 0, 0), false},
	} {
		if _, err := Verify(text, keys, "tarn", c.at); (err == nil) != c.ok {
			t.Errorf("at %v: %v", c.at.Sub(tok.Issued), err)
		}
	}
}

// TestEveryCharacter: a token of which one character was changed is no token.
func TestEveryCharacter(t *testing.T) {
	text, keys := signed(t)
	for i := range text {
		for _, c := range "Aa9-_.=" {
			bad := text[:i] + string(c) + text[i+1:]
			if bad == text {
				continue
			}
			if _, err := Verify(bad, keys, "tarn", time.Now()); err == nil {
				t.Errorf("%q for character %d of %q", c, i, text)
			}
		}
	}
}

func TestSignRefused(t *testing.T) {
	private, _, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParsePrivate(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, life := range map[string]time.Duration{"": time.Hour, "a b": time.Hour, strings.Repeat("x", 128): time.Hour, "alice": 25 * time.Hour, "bob": 0} {
		if _, err := Sign(key, Token{Principal: name, Audience: "tarn"}, life); err == nil {
			t.Errorf("a token for %q and %v", name, life)
		}
	}
}

func TestRevoked(t *testing.T) {
	ids := ParseRevoked([]byte("\n# a comment\n a \nb # stolen\r\n"))
	if len(ids) != 2 || !ids["a"] || !ids["b"] {
		t.Errorf("%v", ids)
	}
}

// FuzzVerify: whatever the text is, it is refused without a crash, unless it is the token; and the error quotes nothing of it.
func FuzzVerify(f *testing.F) {
	text, keys := signed(f)
	now := time.Now()
	for _, seed := range []string{text, "", "..", text[:len(text)-1], strings.Repeat(".", 100), `eyJhbGciOiJub25lIn0.e30.`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, err := Verify(s, keys, "tarn", now)
		if (err == nil) != (s == text) {
			t.Errorf("%q: %v", s, err)
		}
		if err != nil && len(s) > 60 && strings.Contains(err.Error(), s[:20]) {
			t.Errorf("the error quotes the token: %v", err)
		}
		_, _ = Show(s) // must not crash
	})
}

// FuzzKeys: whatever a file of keys holds, reading it does not crash.
func FuzzKeys(f *testing.F) {
	private, public, err := Generate()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(private)
	f.Add(public)
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = ParsePrivate(text)
		_, _ = ParsePublic(text)
		_ = ParseRevoked(text)
	})
}
