// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/go/errno"
)

// TestNoTLS: what does not speak TLS is called that; it is no question of certificates.
func TestNoTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 this is something else\r\n"))
			defer conn.Close()
		}
	}()
	sys, err := DialWith(t.Context(), l.Addr().String(), Options{CA: "system"})
	if err == nil {
		_, err = sys.OpenPool(t.Context(), "tank")
		_ = sys.Close()
	}
	if !errors.Is(err, errno.BadCert) || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Fatal(err)
	}
}

// TestTokenFileGone: the error names the file and what it was for.
func TestTokenFileGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	_, err := (&bearer{path: path}).token()
	if err == nil || !strings.Contains(err.Error(), "token file") || !strings.Contains(err.Error(), path) {
		t.Fatal(err)
	}
}
