// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/auth"
)

func noEnv(string) string { return "" }

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args string
		want Config
		says string // when it is refused
	}{
		{"", Config{Listen: DefaultListen}, ""},
		{"--root /r --socket /s --cache 512M --listen 127.0.0.1:0", Config{Root: "/r", Socket: "/s", Cache: 512 << 20, Listen: "127.0.0.1:0"}, ""},
		{"--listen=", Config{}, ""},
		{"--listen= --allow-raw", Config{Raw: true}, ""},
		{"--listen [::1]:7447", Config{Listen: "[::1]:7447"}, ""},
		{"--listen localhost:7447", Config{Listen: "localhost:7447"}, ""},
		{"--version", Config{Listen: DefaultListen, Version: true}, ""},
		{"--listen 0.0.0.0:7447", Config{}, "can be reached from other machines"},
		{"--listen :7447", Config{}, "can be reached from other machines"},
		{"--listen [::]:7447", Config{}, "can be reached from other machines"},
		{"--listen 192.168.1.1:7447", Config{}, "can be reached from other machines"},
		{"--listen example.org:7447", Config{}, "can be reached from other machines"},
		{"--listen 0.0.0.0:7447 --tls-cert c --tls-key k", Config{}, "can be reached from other machines"},
		{"--listen 0.0.0.0:7447 --token-keys t", Config{}, "can be reached from other machines"},
		{"--listen 0.0.0.0:7447 --tls-cert c", Config{}, "belong together"},
		{"--tls-client-ca a", Config{}, "needs --tls-cert"},
		{"--listen 0.0.0.0:7447 --tls-cert c --tls-key k --token-keys t",
			Config{Listen: "0.0.0.0:7447", Auth: auth.Config{Cert: "c", Key: "k", TokenKeys: "t"}}, ""},
		{"--listen 0.0.0.0:7447 --tls-cert c --tls-key k --tls-client-ca a --tls-crl l --audit f",
			Config{Listen: "0.0.0.0:7447", Auth: auth.Config{Cert: "c", Key: "k", ClientCA: "a", CRL: "l", Audit: "f"}}, ""},
		{"--listen 0.0.0.0:7447 --insecure-listen", Config{Listen: "0.0.0.0:7447", Insecure: true}, ""},
		{"--listen 7447", Config{}, "is not HOST:PORT"},
		{"--listen= --http 127.0.0.1:7449", Config{HTTP: "127.0.0.1:7449"}, ""},
		{"--http 0.0.0.0:7449", Config{}, "--http 0.0.0.0:7449 can be reached from other machines"},
		{"--http 0.0.0.0:7449 --tls-cert c --tls-key k", Config{}, "can be reached from other machines"},
		{"--http 7449", Config{}, "is not HOST:PORT"},
		{"--listen= --admin 127.0.0.1:0 --log-format json --log-level debug", Config{Admin: "127.0.0.1:0", LogFormat: "json", LogLevel: -4}, ""},
		{"--listen= --max-bytes 64M --max-calls 99", Config{MaxBytes: 64 << 20, MaxCalls: 99}, ""},
		{"--max-bytes 1M", Config{}, "at least 16M"},
		{"--max-calls -1", Config{}, "not -1"},
		{"--log-format xml", Config{}, "auto, text or json"},
		{"--log-level loud", Config{}, "log-level"},
		{"--config /nonexistent/file", Config{}, "/nonexistent/file"},
		{"--cache lots", Config{}, "is not a size"},
		{"--nonsense", Config{}, "nonsense"},
		{"serve", Config{}, `"serve" is not an option`},
	} {
		var out strings.Builder
		got, err := Parse(strings.Fields(c.args), noEnv, &out)
		if c.want.LogFormat == "" {
			c.want.LogFormat = "auto"
		}
		got.Settings = nil // TestPrecedence has those
		switch {
		case c.says == "" && (err != nil || !reflect.DeepEqual(got, c.want)):
			t.Errorf("%q: %+v, %v; want %+v", c.args, got, err, c.want)
		case c.says != "" && (err == nil || !strings.Contains(out.String(), c.says)):
			t.Errorf("%q: %v, says %q; want %q in it", c.args, err, out.String(), c.says)
		}
	}
	var out strings.Builder
	if _, err := Parse([]string{"--help"}, noEnv, &out); !errors.Is(err, ErrHelp) || !strings.Contains(out.String(), "--socket PATH") {
		t.Errorf("--help: %v, %q", err, out.String())
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "1": 1, "1048576": 1 << 20, "512K": 512 << 10, "64m": 64 << 20, "2G": 2 << 30, "2GB": 2 << 30,
		"2GiB": 2 << 30, "3T": 3 << 40, "15E": 15 << 60, "7B": 7} {
		if got, err := Size(text); err != nil || got != want {
			t.Errorf("Size(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "G", "-1", "1.5G", "16E", "1Q", "GiB", "1 G", "18446744073709551616"} {
		if got, err := Size(text); err == nil {
			t.Errorf("Size(%q) = %d, want an error", text, got)
		}
	}
}
