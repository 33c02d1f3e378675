// SPDX-License-Identifier: Apache-2.0

package config

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// TestPrecedence: a flag goes before the environment, and that before the file; --print-config says which it was, and what it prints
// is a file that says the same.
func TestPrecedence(t *testing.T) {
	path := file(t, "# of a test\nroot = /file\nsocket=\"/run/a \\\"b\\\" #1\" # quoted\ncache = 64M # bare\nlisten = \n\nallow-raw = true\n")
	vars := env(map[string]string{"TARN_GATEWAY_CONFIG": path, "TARN_GATEWAY_ROOT": "/env", "TARN_GATEWAY_CACHE": "32M", "TARN_GATEWAY_ALLOW_RAW": "false"})
	got, err := Parse([]string{"--cache", "16M", "--print-config"}, vars, io.Discard)
	want := Config{Root: "/env", Socket: `/run/a "b" #1`, Cache: 16 << 20, LogFormat: "auto", Printed: got.Printed, Settings: got.Settings}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	if set := (Setting{"cache", "16777216", "flag"}); !slices.Contains(got.Settings, set) {
		t.Errorf("no %v in %v", set, got.Settings)
	}
	for _, line := range []string{"cache = 16777216 # flag", `root = "/env" # TARN_GATEWAY_ROOT`, `listen = "" # ` + path + ":5",
		`log-format = "auto" # default`, `socket = "/run/a \"b\" #1" # ` + path + ":3"} {
		if !strings.Contains(got.Printed, line+"\n") {
			t.Errorf("no %q in\n%s", line, got.Printed)
		}
	}
	again, err := Parse([]string{"--config", file(t, got.Printed)}, noEnv, io.Discard)
	want.Printed, want.Settings = "", again.Settings
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("from what was printed: %+v, %v", again, err)
	}
}

func TestRefused(t *testing.T) {
	for text, says := range map[string]string{
		"listen":                     "is not NAME = VALUE",
		"\n= 3":                      ":2: ",
		"lisen = x":                  `no setting "lisen"`,
		"version = true":             `no setting "version"`,
		"config = /x":                `no setting "config"`,
		"root = a\nroot = b":         "already set in line 1",
		"root = \"a":                 "double quotes",
		"root = \"a\" b":             "double quotes",
		"cache = lots":               "is not a size",
		"allow-raw = maybe":          `cannot be "maybe"`,
		"listen = 0.0.0.0:1":         "can be reached from other machines",
		"root = \x00\nlog-level = x": "log-level",
	} {
		var out strings.Builder
		if _, err := Parse([]string{"--config", file(t, text)}, noEnv, &out); err == nil || !strings.Contains(out.String(), says) {
			t.Errorf("%q: %v, says %q; want %q", text, err, out.String(), says)
		}
	}
	var out strings.Builder
	_, err := Parse(nil, env(map[string]string{"TARN_GATEWAY_CACHE": "much"}), &out)
	if err == nil || !strings.Contains(out.String(), "TARN_GATEWAY_CACHE") {
		t.Errorf("a bad variable: %v, %q", err, out.String())
	}
}
