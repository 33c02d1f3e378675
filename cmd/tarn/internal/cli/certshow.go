// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/x509"
	"io"
	"strings"
	"time"

	"github.com/tarn-storage/tarn/cmd/internal/pki"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
)

// certAnswer is what a certificate says.
type certAnswer struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`            // "ca", "server" or "client"
	Roles   []string  `json:"roles,omitempty"` // of a client
	Groups  []string  `json:"groups,omitempty"`
	Hosts   []string  `json:"hosts,omitempty"` // of a server
	Expires time.Time `json:"expires"`
	Serial  string    `json:"serial"`
	Files   []string  `json:"files,omitempty"` // that were made
}

func (a *app) answerCert(cert *x509.Certificate, files []string) error {
	c, err := describeCert(cert)
	if err != nil {
		return err
	}
	c.Files = files
	return a.out.Answer(c, func(w io.Writer) error {
		fields := []out.Field{{Name: "Name", Value: c.Name}, {Name: "Kind", Value: c.Kind}, {Name: "Expires", Value: c.Expires.Format(time.RFC3339)},
			{Name: "Serial", Value: c.Serial}}
		for _, more := range []struct {
			name  string
			words []string
		}{{"Roles", c.Roles}, {"Groups", c.Groups}, {"Hosts", c.Hosts}, {"Files", c.Files}} {
			if len(more.words) > 0 {
				fields = append(fields, out.Field{Name: more.name, Value: strings.Join(more.words, ", ")})
			}
		}
		return out.Fields(w, fields...)
	})
}

func describeCert(cert *x509.Certificate) (certAnswer, error) {
	c := certAnswer{Name: cert.Subject.CommonName, Kind: "ca", Expires: cert.NotAfter.UTC(), Serial: cert.SerialNumber.Text(16)}
	switch {
	case cert.IsCA:
		return c, nil
	case len(cert.ExtKeyUsage) > 0 && cert.ExtKeyUsage[0] == x509.ExtKeyUsageServerAuth:
		c.Kind, c.Hosts = "server", cert.DNSNames
		for _, ip := range cert.IPAddresses {
			c.Hosts = append(c.Hosts, ip.String())
		}
		return c, nil
	}
	name, roles, err := pki.Principal(cert)
	if err != nil {
		return c, err
	}
	c.Kind, c.Name, c.Roles = "client", name, roles.Names()
	c.Groups, err = pki.Groups(cert)
	return c, err
}
