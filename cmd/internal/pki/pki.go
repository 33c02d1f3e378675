// SPDX-License-Identifier: Apache-2.0

// Package pki makes and reads the certificates of a small authority: one CA, servers, clients, and a list of what was revoked. A client's
// certificate names its principal, its roles and its groups in a URI, "tarn:alice?role=writer&group=staff"; one of another authority that has no such URI names
// the principal by its common name, and has no role and no group.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/role"
)

// Pair is a certificate with its key.
type Pair struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// skew is how far back a new certificate is already valid, for clocks that differ.
const skew = 5 * time.Minute

// NewCA makes an authority that signs its own certificate.
func NewCA(name string, life time.Duration) (Pair, error) {
	t := template(name, life)
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return Pair{}.sign(t)
}

// Server makes the certificate of a server that is reached by these names and addresses.
func (ca Pair) Server(hosts []string, life time.Duration) (Pair, error) {
	if len(hosts) == 0 {
		return Pair{}, errors.New("a server needs a name or an address by which clients reach it")
	}
	t := template(hosts[0], life)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return ca.sign(t)
}

// Client makes the certificate of a principal, who is in these groups.
func (ca Pair) Client(principal string, roles role.Set, life time.Duration, groups ...string) (Pair, error) {
	if err := errors.Join(role.CheckPrincipal(principal), role.CheckGroups(groups)); err != nil {
		return Pair{}, err
	}
	t := template(principal, life)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{{Scheme: scheme, Opaque: principal, RawQuery: url.Values{"role": roles.Names(), "group": groups}.Encode()}}
	return ca.sign(t)
}

const scheme = "tarn"

func template(name string, life time.Duration) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: now.Add(-skew), NotAfter: now.Add(life),
	}
}

func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] &= 0x7f           // a serial number is positive
	return new(big.Int).SetBytes(b[:])
}

// sign makes a key and signs its certificate; without an authority with the key itself.
func (ca Pair) sign(t *x509.Certificate) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	parent, signer := ca.Cert, ca.Key
	if parent == nil {
		parent, signer = t, key
	}
	if parent != t && t.NotAfter.After(parent.NotAfter) {
		t.NotAfter = parent.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return Pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return Pair{Cert: cert, Key: key}, err
}

// RevocationList is a signed list of what old has (it may be nil) and of these serial numbers.
func (ca Pair) RevocationList(old *x509.RevocationList, life time.Duration, serials ...*big.Int) ([]byte, error) {
	now := time.Now()
	t := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-skew), NextUpdate: now.Add(life)}
	if old != nil {
		t.Number.Add(old.Number, big.NewInt(1))
		t.RevokedCertificateEntries = old.RevokedCertificateEntries
	}
	for _, s := range serials {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, ca.Cert, ca.Key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}

// PEM is the certificate and its key, as files hold them.
func (p Pair) PEM() (cert, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Principal is who holds a client's certificate, and with which roles. A name or a role that is not known is an error: the certificate
// was meant to say something that this version does not understand.
func Principal(cert *x509.Certificate) (name string, roles role.Set, err error) {
	for _, u := range cert.URIs {
		if u.Scheme != scheme {
			continue
		}
		if name != "" {
			return "", 0, errors.New("the certificate names two principals")
		}
		name = u.Opaque
		if roles, err = role.Parse(u.Query()["role"]); err != nil {
			return "", 0, err
		}
	}
	if name == "" {
		name = cert.Subject.CommonName
	}
	if err := role.CheckPrincipal(name); err != nil {
		return "", 0, fmt.Errorf("the certificate's principal: %w", err)
	}
	return name, roles, nil
}

// Groups are those that a client's certificate names.
func Groups(cert *x509.Certificate) (groups []string, err error) {
	for _, u := range cert.URIs {
		if u.Scheme == scheme {
			groups = append(groups, u.Query()["group"]...)
		}
	}
	if err := role.CheckGroups(groups); err != nil {
		return nil, fmt.Errorf("the certificate's groups: %w", err)
	}
	return groups, nil
}
