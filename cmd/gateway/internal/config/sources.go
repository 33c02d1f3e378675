// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sources are where settings are from. What was set stays: so flags are read first, then the environment, then the file.
type sources struct {
	flags  *flag.FlagSet
	getenv func(string) string
	from   map[string]string // by name: where it was set
}

// notInFile are the flags that are no settings, but say what to do.
var notInFile = map[string]bool{"config": true, "print-config": true, "version": true}

func (s *sources) read(args []string) error {
	if err := s.flags.Parse(args); err != nil {
		return err
	}
	if s.flags.NArg() > 0 {
		return fmt.Errorf("%q is not an option", s.flags.Arg(0))
	}
	s.flags.Visit(func(f *flag.Flag) { s.from[f.Name] = "flag" })
	if err := s.readEnv(); err != nil {
		return err
	}
	if path := s.flags.Lookup("config").Value.String(); path != "" {
		return s.readFile(path)
	}
	return nil
}

func (s *sources) wants(name string) bool { return s.flags.Lookup(name).Value.String() == "true" }

// set sets what no source before has set.
func (s *sources) set(name, value, from string) error {
	if s.from[name] != "" {
		return nil
	}
	s.from[name] = from
	if err := s.flags.Set(name, value); err != nil {
		return fmt.Errorf("%s: %s cannot be %q: %w", from, name, value, err)
	}
	return nil
}

func envName(flag string) string {
	return "TARN_GATEWAY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readEnv reads the environment. An empty variable is as none.
func (s *sources) readEnv() (err error) {
	s.flags.VisitAll(func(f *flag.Flag) {
		env := envName(f.Name)
		if value := s.getenv(env); value != "" && err == nil && (f.Name == "config" || !notInFile[f.Name]) {
			err = s.set(f.Name, value, env)
		}
	})
	return err
}

func (s *sources) readFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for i, line := range strings.Split(string(text), "\n") {
		from := fmt.Sprintf("%s:%d", path, i+1)
		name, value, err := setting(line)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", from, err)
		case name == "":
			continue
		case s.flags.Lookup(name) == nil || notInFile[name]:
			return fmt.Errorf("%s: there is no setting %q", from, name)
		case seen[name] != 0:
			return fmt.Errorf("%s: %s is already set in line %d", from, name, seen[name])
		}
		seen[name] = i + 1
		if err := s.set(name, value, from); err != nil {
			return err
		}
	}
	return nil
}

// setting reads a line: NAME = VALUE, or nothing. A value may stand in double quotes, with \ before what is special; without them it
// ends where the line or a comment does.
func setting(line string) (name, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	name, rest, ok := strings.Cut(line, "=")
	name, rest = strings.TrimSpace(name), strings.TrimSpace(rest)
	if !ok || name == "" {
		return "", "", fmt.Errorf("%q is not NAME = VALUE", line)
	}
	if !strings.HasPrefix(rest, `"`) {
		return name, bare(rest), nil
	}
	quoted, err := strconv.QuotedPrefix(rest)
	after := ""
	if err == nil {
		after = strings.TrimSpace(rest[len(quoted):])
	}
	if err != nil || after != "" && after[0] != '#' {
		return "", "", fmt.Errorf("the value of %s is not one text in double quotes", name)
	}
	value, err = strconv.Unquote(quoted)
	return name, value, err
}

func bare(value string) string {
	if strings.HasPrefix(value, "#") {
		return ""
	}
	for _, comment := range []string{" #", "\t#"} {
		value, _, _ = strings.Cut(value, comment)
	}
	return strings.TrimSpace(value)
}

// Setting is a setting as it was read. None of them is a secret: those are in files, whose paths are settings.
type Setting struct {
	Name, Value, Source string
}

// settings are those in effect, in the order of their names.
func (s *sources) settings() (all []Setting) {
	s.flags.VisitAll(func(f *flag.Flag) {
		if !notInFile[f.Name] {
			all = append(all, Setting{f.Name, f.Value.String(), cmp.Or(s.from[f.Name], "default")})
		}
	})
	return all
}

// print is the settings as a file that sets them the same.
func (s *sources) print() string {
	var b strings.Builder
	for _, set := range s.settings() {
		fmt.Fprintf(&b, "%s = %s # %s\n", set.Name, quote(set.Value), strings.ReplaceAll(set.Source, "\n", " "))
	}
	return b.String()
}

// quote leaves numbers and truths bare, so that the file is TOML, too.
func quote(value string) string {
	if _, err := strconv.ParseUint(value, 10, 64); err == nil || value == "true" || value == "false" {
		return value
	}
	return strconv.Quote(value)
}
