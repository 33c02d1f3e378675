// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/role"
)

func authority(t *testing.T) Pair {
	t.Helper()
	ca, err := NewCA("CA", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// TestPurpose: a server's certificate is none for clients, nor the other way round, and none outlives its authority.
func TestPurpose(t *testing.T) {
	ca := authority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	server, err := ca.Server([]string{"example.org", "10.0.0.7"}, 100*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Client("alice", role.Admin, 100*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cert *x509.Certificate
		use  x509.ExtKeyUsage
		name string
		ok   bool
	}{
		{server.Cert, x509.ExtKeyUsageServerAuth, "example.org", true},
		{server.Cert, x509.ExtKeyUsageServerAuth, "10.0.0.7", true},
		{server.Cert, x509.ExtKeyUsageServerAuth, "example.com", false},
		{server.Cert, x509.ExtKeyUsageClientAuth, "", false},
		{client.Cert, x509.ExtKeyUsageClientAuth, "", true},
		{client.Cert, x509.ExtKeyUsageServerAuth, "", false},
	} {
		_, err := c.cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: c.name, KeyUsages: []x509.ExtKeyUsage{c.use}})
		if (err == nil) != c.ok || c.cert.NotAfter.After(ca.Cert.NotAfter) {
			t.Errorf("%s as %v: %v", c.cert.Subject, c.use, err)
		}
	}
}

func TestPrincipal(t *testing.T) {
	uris := func(texts ...string) *x509.Certificate {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: "bob"}}
		for _, text := range texts {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
		return c
	}
	for _, c := range []struct {
		cert  *x509.Certificate
		name  string
		roles role.Set
	}{
		{uris(), "bob", 0},
		{uris("spiffe://x/y"), "bob", 0},
		{uris("tarn:alice"), "alice", 0},
		{uris("spiffe://x/y", "tarn:alice?role=writer&role=raw"), "alice", role.Writer | role.Raw},
		{uris("tarn:alice", "tarn:mallory?role=admin"), "", 0},
		{uris("tarn:alice?role=god"), "", 0},
		{uris("tarn:alice:x?role=admin"), "", 0},
		{&x509.Certificate{}, "", 0},
	} {
		name, roles, err := Principal(c.cert)
		if name != c.name || roles != c.roles || (err == nil) != (c.name != "") {
			t.Errorf("%v: %q [%s], %v", c.cert.URIs, name, roles, err)
		}
	}
}

// TestRevocationList: a list keeps what was revoked, grows its number, and is only good with its authority.
func TestRevocationList(t *testing.T) {
	ca, other := authority(t), authority(t)
	var old *x509.RevocationList
	for i := range int64(3) {
		text, err := ca.RevocationList(old, time.Hour, big.NewInt(100+i))
		if err != nil {
			t.Fatal(err)
		}
		lists, err := ParseLists(text, []*x509.Certificate{other.Cert, ca.Cert})
		if err != nil || len(lists) != 1 || len(lists[0].RevokedCertificateEntries) != int(i)+1 || lists[0].Number.Int64() != i+1 {
			t.Fatalf("%v, %v", lists, err)
		}
		old = lists[0]
		if _, err := ParseLists(text, []*x509.Certificate{other.Cert}); err == nil {
			t.Error("a list of another authority")
		}
	}
}

// TestHalfWritten: a file that breaks off anywhere within its last block is refused, not taken for a shorter one.
func TestHalfWritten(t *testing.T) {
	one, _, err := authority(t).PEM()
	if err != nil {
		t.Fatal(err)
	}
	two := append(append([]byte{}, one...), one...)
	if all, err := ParseCerts(two); err != nil || len(all) != 2 {
		t.Fatalf("%d, %v", len(all), err)
	}
	for cut := len(one) + len("-----BEGIN"); cut < len(two)-len("-----\n"); cut++ {
		if all, err := ParseCerts(two[:cut]); err == nil {
			t.Errorf("cut at %d of %d: %d certificates", cut, len(two), len(all))
		}
	}
}
