// SPDX-License-Identifier: Apache-2.0

// Package config reads the gateway's settings: from flags, else from environment variables, else from a file. A setting has one name
// in all three: --allow-raw, TARN_GATEWAY_ALLOW_RAW, and a line "allow-raw = true".
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

// Config is what the settings say.
type Config struct {
	Root         string // "": the library's default
	Listen       string // TCP address on the loopback; "": none
	Socket       string // path of the Unix socket; "": ROOT/tarn.sock
	HTTP         string // TCP address that serves HTTP and JSON; "": none
	Cache        uint64 // bytes; 0: the library's default
	Raw          bool   // callers may write to devices
	MaxBytes     uint64 // that calls hold together; 0: as the machine has
	MaxCalls     int64  // under way at once; 0: as the machine has
	Admin        string // TCP address of the HTTP server for operators; "": none
	AdminExposed bool   // it may be one that other machines reach
	LogLevel     slog.Level
	LogFormat    string    // "auto", "text" or "json"
	Version      bool      // only print the version
	Printed      string    // not "": only print this, the settings as a file
	Settings     []Setting // as they were read, in the order of their names

	Auth     auth.Config // files of credentials
	Insecure bool        // Listen may be any address, without TLS and without knowing who calls
}

// The TCP addresses that are listened on when none are given, and those that the help names.
const (
	DefaultListen = "127.0.0.1:7447"
	DefaultAdmin  = "127.0.0.1:7448"
	DefaultHTTP   = "127.0.0.1:7449"
)

// What --max-bytes can be: the largest message has to fit.
const minBytes, maxBytes = 16 << 20, 1 << 40

const usage = `tarn-gateway serves the pools of a root directory over gRPC (package tarn.v1).

  tarn-gateway [--root DIR] [--listen ADDR] [--socket PATH] [--http ADDR] [--admin ADDR] [--cache SIZE] [--config FILE] ...

  --root DIR     directory of the pools; default $TARN_ROOT, else $XDG_DATA_HOME/tarn, else ~/.local/share/tarn
  --listen ADDR  TCP address, port 0 for any free one; default ` + DefaultListen + `; "" for none.
                 Any but one of the loopback needs TLS, and --tls-client-ca or --token-keys
  --socket PATH  Unix socket, for this user only; default ROOT/tarn.sock
  --http ADDR    TCP address that serves HTTP and JSON, such as ` + DefaultHTTP + `; default: none. What holds of --listen
                 holds of it
  --cache SIZE   memory of each pool for cached pages, such as 512M or 2GiB; default 256 MiB
  --max-bytes SIZE  memory that all calls under way may hold, such as 512M; more are refused, and told to come again.
                 Default: 1/16 of the memory of the machine or control group, at least 64M and at most 1G
  --max-calls N  calls under way at once; default: 256 for each processor, at least 512
  --allow-raw    let callers, those over TCP too, read and write raw devices and files of this machine that
                 no pool is on; without it they read them over the Unix socket only
  --admin ADDR   TCP address on the loopback of the HTTP server for operators: a status page at /, /metrics, /livez, /readyz,
                 /debug/pprof; such as ` + DefaultAdmin + `; default: none
  --insecure-admin  let it be an address that other machines reach; everyone who reaches it may read all of that
  --log-level LEVEL    debug (every call), info, warn or error; default info
  --log-format FORMAT  text, json, or auto: text on a terminal, else json; default auto
  --config FILE  read settings from a file: lines such as "listen = 127.0.0.1:7447", and # comments
  --print-config print the settings as such a file, with where each is from, and exit

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

Each can also be an environment variable, such as TARN_GATEWAY_LISTEN or TARN_GATEWAY_ALLOW_RAW=true. A flag goes before the
environment, and that before the file.
SIGTERM and SIGINT stop it when the calls that run have ended, at most 20 s later; a second signal stops it at once.
`

// ErrHelp is returned when only help was asked for; it has been printed.
var ErrHelp = flag.ErrHelp

// Parse reads the settings, and prints help or what is wrong with them to out.
func Parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	c := Config{Listen: DefaultListen, LogFormat: "auto"}
	s := sources{flags: c.flags(), getenv: getenv, from: map[string]string{}}
	err := s.read(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return c, ErrHelp
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		fmt.Fprintf(out, "tarn-gateway: %v; see tarn-gateway --help\n", err)
		return c, err
	}
	c.Settings = s.settings()
	if s.wants("print-config") {
		c.Printed = s.print()
	}
	return c, nil
}

// flags are the settings, each with its name.
func (c *Config) flags() *flag.FlagSet {
	f := flag.NewFlagSet("tarn-gateway", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.Root, "root", "", "")
	f.StringVar(&c.Listen, "listen", c.Listen, "")
	f.StringVar(&c.Socket, "socket", "", "")
	f.StringVar(&c.HTTP, "http", "", "")
	f.Var((*size)(&c.Cache), "cache", "")
	f.BoolVar(&c.Raw, "allow-raw", false, "")
	f.Var((*size)(&c.MaxBytes), "max-bytes", "")
	f.Int64Var(&c.MaxCalls, "max-calls", 0, "")
	f.StringVar(&c.Admin, "admin", "", "")
	f.BoolVar(&c.AdminExposed, "insecure-admin", false, "")
	f.TextVar(&c.LogLevel, "log-level", slog.LevelInfo, "")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "")
	f.String("config", "", "")
	f.Bool("print-config", false, "")
	f.BoolVar(&c.Version, "version", false, "")
	f.BoolVar(&c.Insecure, "insecure-listen", false, "")
	for name, file := range map[string]*string{
		"tls-cert": &c.Auth.Cert, "tls-key": &c.Auth.Key, "tls-client-ca": &c.Auth.ClientCA, "tls-crl": &c.Auth.CRL,
		"token-keys": &c.Auth.TokenKeys, "token-audience": &c.Auth.Audience, "token-revoked": &c.Auth.TokenRevoked, "audit": &c.Auth.Audit,
	} {
		f.StringVar(file, name, "", "")
	}
	return f
}

// size is a flag.Value: a number of bytes.
type size uint64

func (s *size) Set(text string) error {
	n, err := Size(text)
	*s = size(n)
	return err
}

func (s *size) String() string { return strconv.FormatUint(uint64(*s), 10) }

func (c *Config) check() error {
	if err := errors.Join(c.checkListen("listen", c.Listen), c.checkListen("http", c.HTTP), c.Auth.Check()); err != nil {
		return err
	}
	if c.MaxBytes != 0 && (c.MaxBytes < minBytes || c.MaxBytes > maxBytes) {
		return fmt.Errorf("--max-bytes is at least %dM and at most %dG", minBytes>>20, uint64(maxBytes)>>30)
	}
	if c.MaxCalls < 0 {
		return fmt.Errorf("--max-calls is a number of calls, not %d", c.MaxCalls)
	}
	if c.LogFormat != "auto" && c.LogFormat != "text" && c.LogFormat != "json" {
		return fmt.Errorf("--log-format is auto, text or json, not %q", c.LogFormat)
	}
	return nil
}

// SocketIn is the path of the socket, when the pools are in root.
func (c Config) SocketIn(root string) string {
	if c.Socket != "" {
		return c.Socket
	}
	return filepath.Join(root, "tarn.sock")
}

// checkListen refuses an address that other machines could reach, when strangers could use it or listen in.
func (c Config) checkListen(flag, addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--%s %s is not HOST:PORT", flag, addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	if c.Insecure || c.Auth.Cert != "" && c.Auth.Knows() {
		return nil
	}
	return fmt.Errorf("--%s %s can be reached from other machines: give --tls-cert and --tls-key, and --tls-client-ca or --token-keys, "+
		"so that the gateway knows who calls; or use a loopback address such as %s; --insecure-listen lets everybody in", flag, addr, DefaultListen)
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

// Logger is what messages go to, in the format that the settings say. level begins as they say, and may be set while the logger is in use.
func (c Config) Logger(out *os.File, level *slog.LevelVar) *slog.Logger {
	level.Set(c.LogLevel)
	opts := &slog.HandlerOptions{Level: level}
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	if c.LogFormat == "text" || c.LogFormat == "auto" && terminal {
		return slog.New(slog.NewTextHandler(out, opts))
	}
	return slog.New(slog.NewJSONHandler(out, opts))
}
