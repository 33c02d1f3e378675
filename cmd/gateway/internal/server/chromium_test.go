// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// browser is a headless Chromium with one page, driven over its debugging pipe. Everything but its calls is one goroutine's.
type browser struct {
	t       *testing.T
	to      io.Writer
	from    *bufio.Reader
	session string
	last    int
	faults  []string // what the page threw, or the browser refused it
}

// reply is an answer, or an event.
type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: make deps-browser")
	}
	in, to, err := os.Pipe()
	wantNil(t, err)
	from, out, err := os.Pipe()
	wantNil(t, err)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{in, out} // 3 and 4, as Chromium wants them
	wantNil(t, cmd.Start())
	_, _ = in.Close(), out.Close() // the browser has its own
	watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	t.Cleanup(func() {
		watchdog.Stop()
		b.session = ""
		b.send("Browser.close", nil)
		_ = cmd.Wait() // however it ended
		_, _ = to.Close(), from.Close()
	})
	return b
}

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *browser) send(method string, params map[string]any) int {
	b.last++
	msg := map[string]any{"id": b.last, "method": method, "params": params}
	if params == nil {
		msg["params"] = struct{}{}
	}
	if b.session != "" {
		msg["sessionId"] = b.session
	}
	data, err := json.Marshal(msg)
	if err == nil {
		_, err = b.to.Write(append(data, 0))
	}
	if err != nil {
		b.t.Errorf("chromium: %s: %v", method, err)
	}
	return b.last
}

// call asks the browser, and reads until its answer is there.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	id := b.send(method, params)
	for {
		data, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("chromium went away in %s: %v", method, err)
		}
		var r reply
		wantNil(b.t, json.Unmarshal(bytes.TrimSuffix(data, []byte{0}), &r))
		if r.Method == "Runtime.exceptionThrown" || r.Method == "Log.entryAdded" {
			b.faults = append(b.faults, string(r.Params))
		}
		if r.ID != id {
			continue
		}
		if r.Error != nil {
			b.t.Fatalf("chromium: %s: %s", method, r.Error.Message)
		}
		if result != nil {
			wantNil(b.t, json.Unmarshal(r.Result, result))
		}
		return
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	b.call("Runtime.enable", nil, nil)
	b.call("Log.enable", nil, nil)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
}

// eval is the value of an expression, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var r struct{ Result struct{ Value any } }
	b.call("Runtime.evaluate", map[string]any{"expression": "String(" + expression + ")", "returnByValue": true}, &r)
	text, _ := r.Result.Value.(string) // "" before the page is there
	return text
}

// until waits for an expression to be true.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); b.eval(expression) != "true"; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("the page never came to this: %s; it shows:\n%s\n%s", what, b.eval("document.body.innerText"), b.faults)
		}
	}
}

// look gives the page a width and a colour scheme.
func (b *browser) look(width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// shoot keeps a picture of the whole page under build/.
func (b *browser) shoot(name string) {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	wantNil(b.t, err)
	dir := filepath.Join("..", "..", "..", "..", "build", "page")
	wantNil(b.t, os.MkdirAll(dir, 0o755))
	wantNil(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}
