// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/internal/token"
)

// state is what the files say. It never changes: a file that changed makes a new one.
type state struct {
	generation  uint64
	cert        *tls.Certificate    // nil: no TLS
	authorities []*x509.Certificate // of clients; nil: no client certificates
	pool        *x509.CertPool      // of authorities
	revoked     map[string]bool     // certificates, by issuer and serial number
	keys        token.Keys          // nil: no tokens
	denied      map[string]bool     // tokens, by id
	tls         *tls.Config         // of a connection that begins now
}

// part is a group of files that are only good together.
type part struct {
	name  string
	paths []string
	load  func(s *state, texts [][]byte) error
	used  string // signature of the files that are in use
	seen  string // signature at the last look: files that still change are left alone
	said  string // what the log was told last
}

// parts are the groups of files that the configuration names.
func (c *Config) parts() []*part {
	var all []*part
	if c.Cert != "" {
		all = append(all, &part{name: "certificate", paths: []string{c.Cert, c.Key}, load: loadPair})
	}
	if c.ClientCA != "" {
		all = append(all, &part{name: "client authorities", paths: given(c.ClientCA, c.CRL), load: loadTrust})
	}
	if c.TokenKeys != "" {
		all = append(all, &part{name: "token keys", paths: given(c.TokenKeys, c.TokenRevoked), load: loadTokens})
	}
	return all
}

// given is the path, and the other one when there is one.
func given(path, optional string) []string {
	if optional == "" {
		return []string{path}
	}
	return []string{path, optional}
}

// signature tells one version of the files from another.
func (p *part) signature() (string, error) {
	var s strings.Builder
	for _, path := range p.paths {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&s, "%d %d %v;", info.Size(), info.ModTime().UnixNano(), inode(info))
	}
	return s.String(), nil
}

// read reads the files into s.
func (p *part) read(s *state) error {
	texts := make([][]byte, len(p.paths))
	for i, path := range p.paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		texts[i] = text
	}
	if err := p.load(s, texts); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(p.paths, ", "), err)
	}
	return nil
}

func loadPair(s *state, texts [][]byte) error {
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	switch {
	case err != nil:
		return err
	case time.Now().After(pair.Leaf.NotAfter):
		return fmt.Errorf("the certificate expired at %v", pair.Leaf.NotAfter)
	case time.Now().Before(pair.Leaf.NotBefore):
		return fmt.Errorf("the certificate is valid only from %v on", pair.Leaf.NotBefore)
	}
	s.cert = &pair
	return nil
}

func loadTrust(s *state, texts [][]byte) error {
	authorities, err := pki.ParseCerts(texts[0])
	if err != nil {
		return err
	}
	revoked := map[string]bool{}
	if len(texts) > 1 {
		lists, err := pki.ParseLists(texts[1], authorities)
		if err != nil {
			return err
		}
		for _, list := range lists {
			if err := addRevoked(revoked, list); err != nil {
				return err
			}
		}
	}
	s.authorities, s.revoked, s.pool = authorities, revoked, x509.NewCertPool()
	for _, ca := range authorities {
		s.pool.AddCert(ca)
	}
	return nil
}

// addRevoked refuses a list that is too old: an attacker may have put it there to bring a certificate back. A list that grows old while
// it is in use stays in use.
func addRevoked(revoked map[string]bool, list *x509.RevocationList) error {
	if !list.NextUpdate.IsZero() && time.Now().After(list.NextUpdate) {
		return fmt.Errorf("the revocation list was to be replaced by %v; make a new one", list.NextUpdate)
	}
	for _, entry := range list.RevokedCertificateEntries {
		revoked[string(list.RawIssuer)+" "+entry.SerialNumber.String()] = true
	}
	return nil
}

func loadTokens(s *state, texts [][]byte) error {
	keys, err := token.ParsePublic(texts[0])
	if err != nil {
		return err
	}
	denied := map[string]bool{}
	if len(texts) > 1 {
		denied = token.ParseRevoked(texts[1])
	}
	s.keys, s.denied = keys, denied
	return nil
}

// finish makes the TLS configuration. Sessions are not resumed: each connection shows its certificate, and is checked, anew.
func (s *state) finish() {
	if s.cert == nil {
		return
	}
	s.tls = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*s.cert}, NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
	}
	if s.pool == nil {
		return
	}
	s.tls.ClientCAs, s.tls.ClientAuth = s.pool, tls.RequireAndVerifyClientCert
	if s.keys != nil { // a token will do, too
		s.tls.ClientAuth = tls.VerifyClientCertIfGiven
	}
	s.tls.VerifyConnection = func(c tls.ConnectionState) error {
		if len(c.PeerCertificates) == 0 {
			return nil
		}
		return s.unrevoked(c.VerifiedChains)
	}
}

var errRevoked = errors.New("the certificate was revoked")

// unrevoked wants one chain in which nothing was revoked.
func (s *state) unrevoked(chains [][]*x509.Certificate) error {
	for _, chain := range chains {
		if !s.anyRevoked(chain) {
			return nil
		}
	}
	return errRevoked
}

func (s *state) anyRevoked(chain []*x509.Certificate) bool {
	for _, cert := range chain {
		if s.revoked[string(cert.RawIssuer)+" "+cert.SerialNumber.String()] {
			return true
		}
	}
	return false
}

// verify checks the certificates of a client again, as the handshake did.
func (s *state) verify(certs []*x509.Certificate, now time.Time) error {
	if s.pool == nil {
		return errors.New("client certificates are not taken here")
	}
	inter := x509.NewCertPool()
	for _, cert := range certs[1:] {
		inter.AddCert(cert)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{
		Roots: s.pool, Intermediates: inter, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return errors.New("the certificate is not valid (any more): it expired, or no authority of this gateway signed it")
	}
	return s.unrevoked(chains)
}
