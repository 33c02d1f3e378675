// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// SystemCA as Options.CA stands for the authorities that the machine trusts.
const SystemCA = "system"

// Options say how a gateway is to be known, and how it knows who calls. The zero value is for a Unix socket and for the loopback.
//
// TLS, which is 1.3, is used when CA or Cert is set, and never on a Unix socket. Certificate, key and token file are read again when they
// change: with the next connection, and the next call.
type Options struct {
	CA         string // PEM file of the authorities that may have signed the gateway's certificate, or SystemCA
	ServerName string // that the gateway's certificate must be for; "": the host of the endpoint
	Cert, Key  string // PEM files of the client's certificate and its key
	Token      string // bearer token
	TokenFile  string // file that holds it, instead

	// SeparatePuts makes each put a call by itself. Else what several goroutines put at the same time goes on one stream, many in a message, which
	// costs a tenth of as many calls; one goroutine alone does not wait for others. That holds for puts of at most 64 KiB, without a condition,
	// and without outgoing metadata in their context. When its context ends such a put may still be made; when the connection breaks, whether it
	// was made is not known, as ever. What the gateway has not begun, because it is full or goes down, is made as a call by itself.
	SeparatePuts bool
}

// check says what does not belong together.
func (o Options) check(endpoint string) error {
	hasToken := o.Token != "" || o.TokenFile != ""
	switch {
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("a certificate and its key belong together: give both or none")
	case o.Token != "" && o.TokenFile != "":
		return errors.New("give the token or the file that holds it, not both")
	case strings.TrimSpace(o.Token) != o.Token || strings.ContainsAny(o.Token, "\r\n"):
		return errors.New("the token has spaces around it")
	case hasToken && !o.secure() && !local(endpoint):
		return errors.New("a token is sent to another machine over TLS only: give the CA of the gateway")
	}
	return nil
}

func (o Options) secure() bool { return o.CA != "" || o.Cert != "" }

// local reports whether nobody but this machine sees what is sent.
func local(endpoint string) bool {
	if strings.HasPrefix(endpoint, "unix:") {
		return true
	}
	rest := strings.TrimPrefix(endpoint, "dns:")
	host, _, err := net.SplitHostPort(strings.TrimLeft(rest, "/"))
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// transport is how connections are made.
func (o Options) transport(endpoint string) (credentials.TransportCredentials, error) {
	if !o.secure() || strings.HasPrefix(endpoint, "unix:") {
		return insecure.NewCredentials(), nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: o.ServerName}
	if o.CA != "" && o.CA != SystemCA {
		text, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate in it", o.CA)
		}
	}
	if o.Cert != "" {
		if _, err := tls.LoadX509KeyPair(o.Cert, o.Key); err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
			return &pair, err
		}
	}
	return credentials.NewTLS(cfg), nil
}

// bearer sends the token with each call. Options.check saw to it that nobody overhears.
type bearer struct {
	fixed string
	path  string // "": fixed

	mu   sync.Mutex
	info fs.FileInfo // of the file when it was read
	read string
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b *bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	text, err := b.token()
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + text}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b *bearer) RequireTransportSecurity() bool { return false }

// token is the token, as the file has it now.
func (b *bearer) token() (string, error) {
	if b.path == "" {
		return b.fixed, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	info, err := os.Stat(b.path)
	if err != nil {
		return "", fmt.Errorf("the token file cannot be read: %w", err)
	}
	if b.info != nil && os.SameFile(info, b.info) && info.ModTime().Equal(b.info.ModTime()) && info.Size() == b.info.Size() {
		return b.read, nil
	}
	text, err := os.ReadFile(b.path)
	if err != nil {
		return "", fmt.Errorf("the token file cannot be read: %w", err)
	}
	b.info, b.read = info, strings.TrimSpace(string(text))
	return b.read, nil
}
