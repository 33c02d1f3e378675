// SPDX-License-Identifier: Apache-2.0

// Package config reads the gateway's command line.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
)

// Config is what the command line says.
type Config struct {
	Root    string // "": the library's default
	Listen  string // TCP address; "": none
	Socket  string // path of the Unix socket; "": ROOT/tarn.sock
	Cache   uint64 // bytes; 0: the library's default
	Raw     bool   // callers may write to devices
	Version bool   // only print the version

	Auth     auth.Config // files of credentials
	Insecure bool        // Listen may be any address, without TLS and without knowing who calls
}

// DefaultListen is the TCP address that is listened on when none is given.
const DefaultListen = "127.0.0.1:7447"

const usage = `tarn-gateway serves the pools of a root directory over gRPC (package tarn.v1).

  tarn-gateway [--root DIR] [--listen ADDR] [--socket PATH] [--cache SIZE] [--allow-raw] [--tls-cert FILE ...]

  --root DIR     directory of the pools; default $TARN_ROOT, else $XDG_DATA_HOME/tarn, else ~/.local/share/tarn
  --listen ADDR  TCP address, port 0 for any free one; default ` + DefaultListen + `; "" for none.
                 Any but one of the loopback needs TLS, and --tls-client-ca or --token-keys
  --socket PATH  Unix socket, for this user only; default ROOT/tarn.sock
  --cache SIZE   memory of each pool for cached pages, such as 512M or 2GiB; default 256 MiB
  --allow-raw    let callers, those over TCP too, read and write raw devices and files of this machine that
                 no pool is on; without it they read them over the Unix socket only

  --tls-cert FILE, --tls-key FILE    certificate and key of the server (PEM): TLS 1.3 on the TCP address
  --tls-client-ca FILE               take client certificates of these authorities, and no others
  --tls-crl FILE                     revocation lists of those authorities
  --token-keys FILE                  take bearer tokens that one of these public keys verifies
  --token-audience NAME              that tokens must be for; default tarn
  --token-revoked FILE               ids of revoked tokens, one on each line
  --audit FILE                       append administrative and refused calls to FILE; 'tarn audit verify' checks it
  --insecure-listen                  listen on any address in spite of all: whoever reaches it may do everything
                                     that no credential is asked for, and everybody on the way reads it

These files are read again when they change, and at SIGHUP; one that is not good changes nothing.
'tarn cert' and 'tarn token' make them.

  --version      print the version and exit

SIGTERM and SIGINT stop it when the calls that run have ended, at most 20 s later; a second signal stops it at once.
`

// ErrHelp is returned when only help was asked for; it has been printed.
var ErrHelp = flag.ErrHelp

// Parse reads the arguments, and prints help or what is wrong with them to out.
func Parse(args []string, out io.Writer) (Config, error) {
	c := Config{Listen: DefaultListen}
	flags := flag.NewFlagSet("tarn-gateway", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Root, "root", "", "")
	flags.StringVar(&c.Listen, "listen", c.Listen, "")
	flags.StringVar(&c.Socket, "socket", "", "")
	flags.BoolVar(&c.Raw, "allow-raw", false, "")
	flags.BoolVar(&c.Version, "version", false, "")
	flags.BoolVar(&c.Insecure, "insecure-listen", false, "")
	for name, file := range map[string]*string{
		"tls-cert": &c.Auth.Cert, "tls-key": &c.Auth.Key, "tls-client-ca": &c.Auth.ClientCA, "tls-crl": &c.Auth.CRL,
		"token-keys": &c.Auth.TokenKeys, "token-audience": &c.Auth.Audience, "token-revoked": &c.Auth.TokenRevoked, "audit": &c.Auth.Audit,
	} {
		flags.StringVar(file, name, "", "")
	}
	flags.Func("cache", "", func(text string) (err error) {
		c.Cache, err = Size(text)
		return err
	})
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return c, ErrHelp
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q is not an option", flags.Arg(0))
	case err == nil:
		err = errors.Join(c.checkListen(), c.Auth.Check())
	}
	if err != nil {
		fmt.Fprintf(out, "tarn-gateway: %v; see tarn-gateway --help\n", err)
	}
	return c, err
}

// SocketIn is the path of the socket, when the pools are in root.
func (c Config) SocketIn(root string) string {
	if c.Socket != "" {
		return c.Socket
	}
	return filepath.Join(root, "tarn.sock")
}

// checkListen refuses an address that other machines could reach, when strangers could use it or listen in.
func (c Config) checkListen() error {
	if c.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s is not HOST:PORT", c.Listen)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	if c.Insecure || c.Auth.Cert != "" && c.Auth.Knows() {
		return nil
	}
	return fmt.Errorf("--listen %s can be reached from other machines: give --tls-cert and --tls-key, and --tls-client-ca or --token-keys, "+
		"so that the gateway knows who calls; or use a loopback address such as %s; --insecure-listen lets everybody in", c.Listen, DefaultListen)
}

// Warn tells the log of what is not safe.
func (c Config) Warn(log *slog.Logger) {
	if c.Insecure {
		log.Warn("--insecure-listen: who is on the way may read what is sent without TLS", "tls", c.Auth.Cert != "", "everybody_may_call", !c.Auth.Knows())
	}
}

// units are the powers of 1024 that a size can end in.
const units = "KMGTPE"

// Size reads a number of bytes: "1048576", "512K", "2G", "2GiB", "2GB", all in powers of 1024.
func Size(text string) (uint64, error) {
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "B"), "I")
	shift := 0
	if n := len(number); n > 0 {
		if i := strings.IndexByte(units, number[n-1]); i >= 0 {
			number, shift = number[:n-1], 10*(i+1)
		}
	}
	value, err := strconv.ParseUint(number, 10, 64)
	if err != nil || value<<shift>>shift != value {
		return 0, fmt.Errorf("%q is not a size; write bytes, or a number with K, M, G or T", text)
	}
	return value << shift, nil
}

// Logger writes text to a terminal, and JSON to anything else.
func Logger(out *os.File) *slog.Logger {
	info, err := out.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return slog.New(slog.NewTextHandler(out, nil))
	}
	return slog.New(slog.NewJSONHandler(out, nil))
}
