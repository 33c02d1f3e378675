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
)

// Config is what the command line says.
type Config struct {
	Root    string // "": the library's default
	Listen  string // TCP address on the loopback; "": none
	Socket  string // path of the Unix socket; "": ROOT/tarn.sock
	Cache   uint64 // bytes; 0: the library's default
	Raw     bool   // callers may write to devices
	Version bool   // only print the version
}

// DefaultListen is the TCP address that is listened on when none is given.
const DefaultListen = "127.0.0.1:7447"

const usage = `tarn-gateway serves the pools of a root directory over gRPC (package tarn.v1).

  tarn-gateway [--root DIR] [--listen ADDR] [--socket PATH] [--cache SIZE] [--allow-raw]

  --root DIR     directory of the pools; default $TARN_ROOT, else $XDG_DATA_HOME/tarn, else ~/.local/share/tarn
  --listen ADDR  TCP address on the loopback, port 0 for any free one; default ` + DefaultListen + `; "" for none
  --socket PATH  Unix socket, for this user only; default ROOT/tarn.sock
  --cache SIZE   memory of each pool for cached pages, such as 512M or 2GiB; default 256 MiB
  --allow-raw    let callers, those over TCP too, read and write raw devices and files of this machine that
                 no pool is on; without it they read them over the Unix socket only
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
		err = CheckListen(c.Listen)
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

// CheckListen refuses an address that other machines could reach: this version knows no authentication.
func CheckListen(addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--listen %s is not HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s can be reached from other machines, and this version knows no authentication: "+
		"use a loopback address such as %s, and a tunnel to reach it from elsewhere", addr, DefaultListen)
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
