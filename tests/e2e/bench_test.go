// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

type benchReport struct {
	Response struct {
		Rows []struct {
			Group, Name, Over, Unit string
			Depth                   int
			Rate                    struct{ Median float64 }
			ServerCPU               struct{ Median float64 }  `json:"server_cpu_us"`
			Allocs                  struct{ Median float64 }  `json:"server_allocations"`
			ToEcho                  *struct{ Median float64 } `json:"cpu_to_echo"`
		}
	}
}

// short makes a benchmark a matter of a second or two.
func short(dir string, words ...string) []string {
	return append(words, "--dir", dir, "--rounds", "1", "--window", "5ms", "--keys", "200", "--stream-size", "2M")
}

// left fails when a run has left something behind.
func left(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the run left %v, %v", entries, err)
	}
}

// TestBenchRows measures one kind of call only, and what it is compared with.
func TestBenchRows(t *testing.T) {
	cli, dir := rig.CLI{T: t}, t.TempDir()
	var report benchReport
	words := short(dir, "bench", "gateway", "-o", "json", "--groups", "calls,batches,streams", "--rows", "Put joined,Scan,GetStream")
	if err := json.Unmarshal([]byte(cli.OK(words...)), &report); err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for _, r := range report.Response.Rows {
		names[r.Name]++
	}
	if len(names) != 5 || names["Echo"] != 4 || names["Echo again"] != 4 || names["Put joined"] != 4 || names["Scan"] != 1 || names["GetStream"] != 1 {
		t.Errorf("rows: %v", names)
	}
	left(t, dir)
}

// TestBenchGateway runs everything but the peers once, briefly: each row has a rate, what a gateway is asked has a cost, and nothing stays.
func TestBenchGateway(t *testing.T) {
	cli, dir := rig.CLI{T: t}, t.TempDir()
	var report benchReport
	if err := json.Unmarshal([]byte(cli.OK(short(dir, "bench", "gateway", "-o", "json")...)), &report); err != nil {
		t.Fatal(err)
	}
	groups := map[string]int{}
	for _, r := range report.Response.Rows {
		groups[strings.SplitN(r.Group, " ", 2)[0]+" "+r.Over]++
		if r.Rate.Median <= 0 || r.Allocs.Median <= 0 || r.Unit == "" {
			t.Errorf("a row without figures: %+v", r)
		}
		if strings.HasPrefix(r.Group, "calls") && r.Name != "Echo" && (r.ToEcho == nil || r.ToEcho.Median <= 0) {
			t.Errorf("a call that is not compared: %+v", r)
		}
	}
	for group, n := range map[string]int{"calls tcp": 12, "calls unix": 12, "batches tcp": 6, "sessions tcp": 7, "streams tcp": 3} {
		if groups[group] != n {
			t.Errorf("%s has %d rows, want %d", group, groups[group], n)
		}
	}
	left(t, dir)
}

// TestBenchRunning measures a gateway that runs, which has no pool more afterwards.
func TestBenchRunning(t *testing.T) {
	g := rig.StartGateway(t, t.TempDir())
	cli, dir := rig.CLI{T: t}, t.TempDir()
	text := cli.OK(short(dir, "bench", "gateway", "--groups", "calls", "--endpoint", "unix:"+g.Socket)...)
	if strings.Count(text, "Echo again") != 2 {
		t.Errorf("the table is\n%s", text)
	}
	if pools := cli.OK("pool", "list", "--endpoint", "unix:"+g.Socket, "-o", "json"); !strings.Contains(pools, `"response":[]`) {
		t.Errorf("pools that are left: %s", pools)
	}
	left(t, dir)
}

// TestBenchKV measures in this process.
func TestBenchKV(t *testing.T) {
	cli, dir := rig.CLI{T: t}, t.TempDir()
	text := cli.OK(short(dir, "bench", "kv")...)
	for _, name := range []string{"Put relaxed", "Apply of 100", "GetMany of 100", "List", "GetStream"} {
		if !strings.Contains(text, name) {
			t.Errorf("there is no %s in\n%s", name, text)
		}
	}
	left(t, dir)
}

// TestBenchRefusals: what cannot be measured is said in a sentence.
func TestBenchRefusals(t *testing.T) {
	cli := rig.CLI{T: t}
	for _, c := range []struct {
		exit int
		say  string
		args []string
	}{
		{2, "there is no group", []string{"--groups", "calls,none"}},
		{2, "--stream-size", []string{"--stream-size", "1"}},
		{2, "--value-size", []string{"--value-size", "1M"}},
		{2, "at least 1", []string{"--rounds", "0"}},
		{9, "", []string{"--endpoint", "127.0.0.1:1"}},
		{1, "no-such-program", []string{"--gateway", "no-such-program"}},
	} {
		r := cli.Run(append([]string{"bench", "gateway"}, c.args...)...)
		if r.Exit != c.exit || !strings.Contains(r.Stderr, c.say) {
			t.Errorf("%v: exit %d, %s; want %d, %q", c.args, r.Exit, r.Stderr, c.exit, c.say)
		}
	}
}

// TestBenchPeers measures etcd and Redis beside the gateway, where they are installed.
func TestBenchPeers(t *testing.T) {
	for _, program := range []string{"etcd", "redis-server"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: .ci/deps.sh bench installs it", program)
		}
	}
	cli, dir := rig.CLI{T: t}, t.TempDir()
	var report benchReport
	text := cli.OK(short(dir, "bench", "gateway", "--peers", "--groups", "peers", "-o", "json")...)
	if err := json.Unmarshal([]byte(text), &report); err != nil || len(report.Response.Rows) != 17 {
		t.Fatalf("%d rows, %v; want 17\n%s", len(report.Response.Rows), err, text)
	}
	for _, r := range report.Response.Rows {
		if r.Rate.Median <= 0 {
			t.Errorf("a row without figures: %+v", r)
		}
	}
	left(t, dir)
}
