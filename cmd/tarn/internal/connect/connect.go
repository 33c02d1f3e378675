// SPDX-License-Identifier: Apache-2.0

// Package connect finds the system that a command works on: a gateway, or the pools of a root directory in this process.
package connect

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tarn-storage/tarn/go/client"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
	"github.com/tarn-storage/tarn/go/tarn"
)

// SocketName is the gateway's socket in a root directory.
const SocketName = "tarn.sock"

// How long a gateway has to accept a connection, and to answer the first call.
const (
	probeTimeout = 300 * time.Millisecond
	dialTimeout  = 10 * time.Second
)

// Where says where the pools are: at an endpoint, else in a root directory. Both may be empty. The other fields are for an endpoint: a
// gateway on the root's own socket knows who calls by itself.
type Where struct {
	Root, Endpoint         string
	TLSCA, TLSCert, TLSKey string
	Token, TokenFile       string
	MakeRoot               bool // when it is not there; else that is NONEXIST
}

// FromEnv fills what the flags left open: with root or endpoint given, the environment is not asked.
func (w Where) FromEnv(getenv func(string) string) Where {
	if w.Root == "" && w.Endpoint == "" {
		w.Endpoint = getenv("TARN_ENDPOINT")
	}
	if w.Root == "" {
		w.Root = defaultRoot(getenv)
	}
	if w.TLSCA == "" {
		w.TLSCA = getenv("TARN_TLS_CA")
	}
	if w.TLSCert == "" && w.TLSKey == "" {
		w.TLSCert, w.TLSKey = getenv("TARN_TLS_CERT"), getenv("TARN_TLS_KEY")
	}
	if w.Token == "" && w.TokenFile == "" {
		w.Token, w.TokenFile = getenv("TARN_TOKEN"), getenv("TARN_TOKEN_FILE")
	}
	return w
}

// options are what the gateway at the endpoint is dialled with.
func (w Where) options() client.Options {
	return client.Options{CA: w.TLSCA, Cert: w.TLSCert, Key: w.TLSKey, Token: w.Token, TokenFile: w.TokenFile}
}

// defaultRoot is where tarn_system_open looks when it is given no root.
func defaultRoot(getenv func(string) string) string {
	if root := getenv("TARN_ROOT"); root != "" {
		return root
	}
	if data := getenv("XDG_DATA_HOME"); data != "" {
		return filepath.Join(data, "tarn")
	}
	return filepath.Join(getenv("HOME"), ".local", "share", "tarn")
}

// Open opens the system: the gateway at the endpoint; without one the gateway that listens on the root's socket; without that the
// root itself, in this process, which then sends its messages to log.
func Open(ctx context.Context, w Where, log *slog.Logger) (system.System, error) {
	if w.Endpoint != "" {
		return dial(ctx, w.Endpoint, w.options())
	}
	if endpoint := socket(ctx, w.Root); endpoint != "" {
		sys, err := dial(ctx, endpoint, client.Options{})
		if errno.CodeOf(err) != errno.Unreach { // else the gateway went away between the two
			return sys, err
		}
	}
	return Local(w, log)
}

// Local opens the system of a root directory in this process.
func Local(w Where, log *slog.Logger) (system.System, error) {
	root := w.Root
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) && !w.MakeRoot {
		return nil, errno.New("open", root, errno.NonExist, "there is no directory "+root+
			": --root or TARN_ROOT names the one with the pools, and 'tarn pool create' makes it")
	}
	sys, err := tarn.OpenWith(tarn.Options{Root: root, Logger: log})
	if err != nil {
		return nil, err
	}
	return sys.System(), nil
}

// socket is the endpoint of the gateway that serves a root, "" when none accepts a connection: a socket that a killed gateway left
// behind refuses at once.
func socket(ctx context.Context, root string) string {
	path, err := filepath.Abs(filepath.Join(root, SocketName))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	dialer := net.Dialer{Timeout: probeTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return ""
	}
	conn.Close()
	return "unix:" + path
}

func dial(ctx context.Context, endpoint string, opts client.Options) (system.System, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	sys, err := client.DialWith(ctx, endpoint, opts)
	if errno.CodeOf(err) == errno.Unreach {
		return nil, nobody(endpoint, err)
	}
	if err != nil {
		return nil, err
	}
	return sys, nil
}

// nobody says in plain words that no gateway answers. Of what gRPC tells, the end is what the system said.
func nobody(endpoint string, err error) error {
	cause := err.Error()
	if _, said, ok := strings.Cut(cause, ": connect: "); ok {
		cause, _, _ = strings.Cut(said, `"`)
	}
	e := errno.New("dial", endpoint, errno.Unreach, "no gateway answers at "+endpoint+": "+cause)
	e.Err = err
	return e
}
