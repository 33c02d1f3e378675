// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/role"
)

// The fuzzers' key and clock are always the same, so that what they found is found again.
var (
	fuzzKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	fuzzKeys = Keys{KeyID(fuzzKey.Public().(ed25519.PublicKey)): fuzzKey.Public().(ed25519.PublicKey)}
	fuzzNow  = time.Unix(1_800_000_000, 0)
)

const goodClaims = `{"sub":"alice","aud":["tarn"],"iat":1799999990,"exp":1800000300,"jti":"1","roles":["reader"]}`

func goodHeader() string {
	return `{"alg":"EdDSA","kid":"` + KeyID(fuzzKey.Public().(ed25519.PublicKey)) + `","typ":"JWT"}`
}

// signRaw signs any header and any claims.
func signRaw(header, claims []byte) string {
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(fuzzKey, []byte(text)))
}

// FuzzClaims: whatever is signed, what is taken keeps the rules of the package.
func FuzzClaims(f *testing.F) {
	for _, header := range []string{goodHeader(), `{"alg":"EdDSA"}`, `{"alg":"none"}`, `{"alg":"HS256"}`, `{}`, `[]`, ``} {
		f.Add([]byte(header), []byte(goodClaims))
	}
	for _, claims := range []string{`{}`, `null`, `[]`, `{"exp":1e400}`, `{"exp":-1}`, `{"exp":9223372036854775807,"iat":0}`, `{"aud":{}}`,
		`{"sub":"a\u0000b","aud":"tarn","iat":1,"exp":1800000300,"jti":"1"}`, `{"roles":"admin"}`, goodClaims + goodClaims,
		`{"sub":"alice","aud":["tarn","x"],"iat":1799999990,"exp":1800000300,"jti":"1"}`,
		`{"sub":"alice","aud":"tarn","iat":-62135596800,"exp":1.8e9,"jti":"1","roles":null}`} {
		f.Add([]byte(goodHeader()), []byte(claims))
	}
	f.Fuzz(func(t *testing.T, header, claims []byte) {
		text := signRaw(header, claims)
		_, _ = Show(text) // it must only not crash
		if got, err := Verify(text, fuzzKeys, "tarn", fuzzNow); err == nil {
			checkToken(t, got, header)
		}
	})
}

func checkToken(t *testing.T, got Token, header []byte) {
	t.Helper()
	var h map[string]any
	if err := json.Unmarshal(header, &h); err != nil || h["alg"] != "EdDSA" {
		t.Errorf("taken with the header %q", header)
	}
	_, rolesErr := role.Parse(got.Roles.Names())
	switch life := got.Expires.Sub(got.Issued); {
	case role.CheckPrincipal(got.Principal) != nil, got.ID == "", got.Audience != "tarn", rolesErr != nil:
		t.Errorf("taken: %+v", got)
	case life > LifeMax, got.Expires.Add(Skew).Before(fuzzNow), got.Issued.After(fuzzNow.Add(Skew)):
		t.Errorf("taken at %v: from %v to %v", fuzzNow, got.Issued, got.Expires)
	case fuzzKeys[got.Key] == nil:
		t.Errorf("taken by the key %q", got.Key)
	}
}
