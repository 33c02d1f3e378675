// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v2"
)

// metric finds the names of metrics in an expression: those of these families.
var metric = regexp.MustCompile(`\b(?:grpc_server|tarn|go|process)_[a-z0-9_]+`)

// expressions are what the dashboard and the alerts ask Prometheus.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	data, err := os.ReadFile("dist/dashboard.json")
	if err == nil {
		err = json.Unmarshal(data, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, q := range p.Targets {
			all = append(all, q.Expr)
		}
	}
	var alerts struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	data, err = os.ReadFile("dist/alerts.yaml")
	if err == nil {
		err = yaml.Unmarshal(data, &alerts)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			all = append(all, r.Expr)
		}
	}
	return all
}

// TestDashboardAndAlerts: every metric that they name is one that a gateway has.
func TestDashboardAndAlerts(t *testing.T) {
	g := launch(t, "--root", filepath.Join(t.TempDir(), "root"), "--listen", "", "--admin", "127.0.0.1:0")
	open(t, "unix:"+g.info.Socket)
	resp, err := http.Get("http://" + g.info.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, name := range regexp.MustCompile(`(?m)^[a-z0-9_]+`).FindAllString(string(text), -1) {
		there[name] = true
	}
	all, names := expressions(t), 0
	for _, e := range all {
		for _, name := range metric.FindAllString(e, -1) {
			names++
			if !there[name] {
				t.Errorf("there is no %s, which %q asks for", name, e)
			}
		}
	}
	if len(all) < 20 || names < len(all) {
		t.Errorf("only %d expressions with %d metrics were found", len(all), names)
	}
	if status := g.exit(syscall.SIGTERM); status != 0 {
		t.Errorf("the status is %d", status)
	}
}

// TestShippedSettings: the shipped file is one that the gateway reads.
func TestShippedSettings(t *testing.T) {
	cmd := exec.Command(os.Args[0], "--config", "dist/gateway.conf", "--print-config")
	cmd.Env = append(os.Environ(), asGateway+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `admin = "127.0.0.1:7448" # dist/gateway.conf`) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestUnit: systemd understands the unit.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	data, err := os.ReadFile("dist/tarn-gateway.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "tarn-gateway.service")
	text := strings.Replace(string(data), "/usr/local/bin/tarn-gateway", os.Args[0], 1) // one that is there
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), unit) {
		t.Errorf("%v: %s", err, out)
	}
}
