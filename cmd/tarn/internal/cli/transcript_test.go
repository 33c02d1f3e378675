// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/cmd/internal/fakedev"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/fake"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

var update = flag.Bool("update", false, "write what the commands answer into testdata")

// TestTranscripts runs the commands of every file in testdata and compares what they answer with what stands below them. In a
// transcript "$ tarn ..." is a command, "< text" a line of its standard input and "? code op" makes the calls of that name fail.
// "! " stands before the lines of the standard error, and "[3]" is an exit status other than 0. Each file begins with no pools.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("transcripts: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newSession(t)
			s.dir = scratch(t)
			got := s.run(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, string(want), got)
		})
	}
}

func compare(t *testing.T, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			t.Fatalf("line %d differs:\n--- want\n%s\n--- got\n%s", i+1, strings.Join(w[min(i, len(w)):], "\n"), strings.Join(g[min(i, len(g)):], "\n"))
		}
	}
}

// scratch is a directory with a small tree in it.
func scratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(tree, "sub", "empty"), 0o777),
		os.WriteFile(filepath.Join(tree, "a"), []byte("one"), 0o666),
		os.WriteFile(filepath.Join(tree, "sub", "b"), make([]byte, 300_000), 0o666),
		os.Symlink("a", filepath.Join(tree, "link")),
		os.Symlink("nowhere", filepath.Join(tree, "gone")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// session is one transcript being run.
type session struct {
	t   *testing.T
	sys *fake.System
	dev *fakedev.Devices
	dir string // stands for DIR in commands and answers
}

// run plays the commands of a transcript and returns it with their answers. A comment begins a paragraph; other lines with a "#" are answers.
func (s *session) run(transcript string) string {
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(transcript, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.HasPrefix(line, "#") && (i == 0 || lines[i-1] == ""), line == "" && (i+1 == len(lines) || strings.IndexAny(lines[i+1][:min(1, len(lines[i+1]))], "#$?") == 0):
			out.WriteString(line + "\n")
		case strings.HasPrefix(line, "? "):
			out.WriteString(line + "\n")
			s.fail(strings.SplitN(line[2:], " ", 2))
		case strings.HasPrefix(line, "$ "):
			out.WriteString(line + "\n")
			var stdin strings.Builder
			for ; i+1 < len(lines) && strings.HasPrefix(lines[i+1], "< "); i++ {
				out.WriteString(lines[i+1] + "\n")
				stdin.WriteString(lines[i+1][2:] + "\n")
			}
			out.WriteString(s.command(line[2:], stdin.String()))
		}
	}
	return out.String()
}

func (s *session) fail(words []string) {
	code, ok := errno.Parse(words[0])
	if !ok && words[0] != "ok" {
		s.t.Fatalf("there is no code %s", words[0])
	}
	fail := s.sys.Fail
	if op, isDevice := strings.CutPrefix(words[1], "dev "); isDevice {
		fail, words[1] = s.dev.Fail, op
	}
	delete(fail, words[1])
	if ok {
		fail[words[1]] = errno.New(words[1], "tank", code, "")
	}
}

func (s *session) command(line, stdin string) string {
	words := split(strings.ReplaceAll(line, "DIR", s.dir))
	tty := words[0] == "TTY"
	if tty {
		words = words[1:]
	}
	var stdout, stderr bytes.Buffer
	exit := Run(context.Background(), words[1:], s.env(stdin, &stdout, &stderr, tty))
	if n := s.sys.Opens + s.dev.Opens; n != 0 {
		s.t.Errorf("%s leaves %d handles open", line, n)
	}
	answer := lines("", stdout.String()) + lines("! ", stderr.String())
	if exit != 0 {
		answer += fmt.Sprintf("[%d]\n", exit)
	}
	answer = regexp.MustCompile(`"seconds":[0-9.e-]+`).ReplaceAllString(answer, `"seconds":N`)
	return strings.ReplaceAll(answer, s.dir, "DIR")
}

func (s *session) env(stdin string, stdout, stderr *bytes.Buffer, tty bool) Env {
	return Env{
		Stdin: strings.NewReader(stdin), Stdout: stdout, Stderr: stderr, StdinTTY: tty, StdoutTTY: tty, StderrTTY: tty,
		Connect: func(_ context.Context, w Where) (system.System, error) {
			if w.Endpoint != "" {
				return remoteDevices{s.sys, s.dev}, s.sys.Fail["connect"]
			}
			return s.sys, s.sys.Fail["connect"]
		},
		OpenLocal: func(_ context.Context, w Where) (system.System, error) {
			return s.sys, s.sys.Fail["connect"]
		},
		Devices:  s.dev,
		OpenNVMe: func(path string, write bool) (system.NVMe, error) { return openFakeNVMe(path, write) },
		Bench:    fakeBench,
		Version: func() Version {
			return Version{"0.1.0", "0.1.0", "go1.25", "linux/amd64", []string{"local", "gateway", "io_uring"}}
		},
	}
}

// lines puts a mark in front of every line, and marks an end without a newline.
func lines(mark, text string) string {
	if text == "" {
		return ""
	}
	if !strings.HasSuffix(text, "\n") {
		text += "%\n"
	}
	text = strings.ReplaceAll(text, "\x00", "^@")
	return mark + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+mark) + "\n"
}

// split cuts a command into words; double quotes hold one together.
func split(line string) (words []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}

// TestInterrupted checks that a command whose context ends exits with 130, and that a deadline exits with 9.
func TestInterrupted(t *testing.T) {
	s := newSession(t)
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if exit := Run(ctx, []string{"pool", "list"}, s.env("", &stdout, &stderr, false)); exit != 130 {
		t.Errorf("exit %d, want 130: %s", exit, &stderr)
	}
	stderr.Reset()
	if exit := Run(context.Background(), []string{"pool", "list", "--timeout", "1ns"}, s.env("", &stdout, &stderr, false)); exit != 9 {
		t.Errorf("exit %d, want 9: %s", exit, &stderr)
	}
}

// TestBrokenOutput checks that an answer that cannot be written is an error, in both formats.
func TestBrokenOutput(t *testing.T) {
	for _, format := range []string{"table", "json"} {
		s := newSession(t)
		var stdout, stderr bytes.Buffer
		env := s.env("", &stdout, &stderr, false)
		env.Stdout = brokenWriter{}
		if exit := Run(context.Background(), []string{"version", "-o", format}, env); exit != 1 || stderr.Len() == 0 {
			t.Errorf("%s: exit %d, want 1; %q", format, exit, &stderr)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
