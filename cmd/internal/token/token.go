// SPDX-License-Identifier: Apache-2.0

// Package token makes and verifies bearer tokens: JSON Web Tokens that are signed with Ed25519 and nothing else. A token says who
// (sub), with which roles, in which groups, for which gateways (aud), from when until when (iat, exp: a day at most), and has an id (jti) by which it can
// be revoked. The key that signed it is named by the hash of its public half (kid).
package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tarn-storage/tarn/cmd/internal/role"
)

// Limits of a token.
const (
	LifeMax  = 24 * time.Hour
	Skew     = 30 * time.Second // by which the clocks of who signs and who verifies may differ
	BytesMax = 4096
)

// DefaultAudience is the audience of a gateway that was given no other.
const DefaultAudience = "tarn"

// Token is what a token says.
type Token struct {
	ID        string
	Principal string
	Roles     role.Set
	Groups    []string
	Audience  string
	Issued    time.Time
	Expires   time.Time
	Key       string // id of the key that signed it
}

type claims struct {
	jwt.RegisteredClaims
	Roles  []string `json:"roles"`
	Groups []string `json:"groups,omitempty"`
}

// Keys are public keys by their ids.
type Keys map[string]ed25519.PublicKey

// KeyID names a key.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Sign makes a token that begins now. It fills in the id and the times.
func Sign(key ed25519.PrivateKey, t Token, life time.Duration) (string, error) {
	if err := errors.Join(role.CheckPrincipal(t.Principal), role.CheckGroups(t.Groups)); err != nil {
		return "", err
	}
	if life <= 0 || life > LifeMax {
		return "", fmt.Errorf("a token lives longer than 0 and at most %v, not %v", LifeMax, life)
	}
	now := time.Now()
	c := claims{Roles: t.Roles.Names(), Groups: t.Groups, RegisteredClaims: jwt.RegisteredClaims{
		ID: rand.Text(), Subject: t.Principal, Audience: jwt.ClaimStrings{t.Audience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	}}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	unsigned.Header["kid"] = KeyID(key.Public().(ed25519.PublicKey))
	return unsigned.SignedString(key)
}

// Verify checks everything about a token but whether it was revoked. The error says what is wrong, and nothing of the token.
func Verify(text string, keys Keys, audience string, now time.Time) (Token, error) {
	if len(text) > BytesMax {
		return Token{}, fmt.Errorf("it is longer than %d bytes", BytesMax)
	}
	var c claims
	parsed, err := jwt.ParseWithClaims(text, &c, keys.find, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(Skew), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		return Token{}, reason(err)
	}
	return fromClaims(c, parsed)
}

// find is the key that a token names.
func (k Keys) find(t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	if key, ok := k[id]; ok {
		return key, nil
	}
	return nil, errUnknownKey
}

var errUnknownKey = errors.New("it was signed with a key that is not known here")

// reason is what is wrong with a token, in words that quote nothing of it.
func reason(err error) error {
	for _, r := range []struct {
		is  error
		say string
	}{
		{errUnknownKey, errUnknownKey.Error()},
		{jwt.ErrTokenSignatureInvalid, "its signature is wrong"},
		{jwt.ErrTokenExpired, "it has expired"},
		{jwt.ErrTokenInvalidAudience, "it is for another audience"},
		{jwt.ErrTokenUsedBeforeIssued, "it was issued in the future"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"},
		{jwt.ErrTokenRequiredClaimMissing, "it has no expiry or no audience"},
	} {
		if errors.Is(err, r.is) {
			return errors.New(r.say)
		}
	}
	return errors.New("it is not a token")
}

// fromClaims checks what the library leaves to its user.
func fromClaims(c claims, parsed *jwt.Token) (Token, error) {
	kid, _ := parsed.Header["kid"].(string)
	t := Token{ID: c.ID, Principal: c.Subject, Key: kid, Expires: c.ExpiresAt.Time}
	if c.ID == "" || c.IssuedAt == nil || len(c.Audience) != 1 {
		return Token{}, errors.New("it lacks an id, one audience, or the time of issue")
	}
	t.Issued, t.Audience = c.IssuedAt.Time, c.Audience[0]
	if t.Expires.Sub(t.Issued) > LifeMax {
		return Token{}, fmt.Errorf("it lives longer than %v", LifeMax)
	}
	if role.CheckPrincipal(t.Principal) != nil {
		return Token{}, errors.New("it names no principal")
	}
	roles, err := role.Parse(c.Roles)
	if err != nil {
		return Token{}, errors.New("it names a role that is not known")
	}
	if role.CheckGroups(c.Groups) != nil {
		return Token{}, errors.New("it names what is not a group, or too many")
	}
	t.Roles, t.Groups = roles, c.Groups
	return t, nil
}

// Show reads a token without verifying anything.
func Show(text string) (Token, error) {
	var c claims
	parsed, _, err := jwt.NewParser().ParseUnverified(text, &c)
	if err != nil || c.ExpiresAt == nil {
		return Token{}, errors.New("it is not a token")
	}
	return fromClaims(c, parsed)
}
