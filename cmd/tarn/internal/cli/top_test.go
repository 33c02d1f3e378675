// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
)

// busy is a gateway that does more between two looks, and begins anew before the look of that number.
type busy struct {
	system.System
	looks, anew int
}

func (b *busy) Stats(context.Context) (system.ServerStats, error) {
	b.looks++
	n := uint64(b.looks)
	s := system.ServerStats{Started: time.Unix(1000, 0), Handles: 3, InFlight: 4096, InFlightLimit: 1 << 20, Watches: 7, WatchesLimit: 20, Refused: 10 * n, Methods: []system.MethodStats{
		{Method: "/tarn.v1.KeyValueService/Get", Calls: 100 * n, Errors: n, Seconds: float64(n)},
		{Method: "/tarn.v1.KeyValueService/Put", Calls: 1000 * n, Seconds: 2 * float64(n)},
		{Method: "/tarn.v1.PoolService/GetPool", Calls: 5},
	}}
	if b.looks == b.anew {
		s.Started = time.Unix(2000, 0)
	}
	return s, nil
}

func (b *busy) Pools(context.Context) ([]system.PoolInfo, error) {
	return []system.PoolInfo{{Label: "tank", TotalBytes: 64 << 20, LogBytes: 4 << 20}}, nil
}

func (b *busy) Close() error { return nil }

func runTop(t *testing.T, ctx context.Context, sys system.System, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	env := Env{Stdin: strings.NewReader(""), Stdout: &o, Stderr: &e,
		Connect: func(context.Context, Where) (system.System, error) { return sys, nil }}
	return Run(ctx, append([]string{"top", "--every", "100ms"}, args...), env), o.String(), e.String()
}

func TestTopJSON(t *testing.T) {
	for _, anew := range []int{0, 2} {
		status, text, _ := runTop(t, t.Context(), &busy{anew: anew}, "--once", "-o", "json")
		var doc struct{ Response top }
		if err := json.Unmarshal([]byte(text), &doc); err != nil || status != 0 {
			t.Fatalf("status %d, %v: %s", status, err, text)
		}
		r := doc.Response
		calls := 1000.0 // of an interval
		if anew != 0 {
			calls = 2000 // all that the new gateway had
		}
		if len(r.Methods) != 3 || r.Methods[0].Method != "/tarn.v1.KeyValueService/Put" || r.Methods[0].Calls != 2000 {
			t.Fatalf("%+v", r.Methods)
		}
		if got := r.Methods[0].Rate * r.Seconds; got < calls-0.1 || got > calls+0.1 {
			t.Errorf("a rate of %v in %v s: %v calls, want %v", r.Methods[0].Rate, r.Seconds, got, calls)
		}
		if m := r.Methods[1]; m.Latency != 0.01 || m.Errors <= 0 {
			t.Errorf("%+v", m)
		}
		if got := r.Refused * r.Seconds; got < calls/100-0.1 || got > calls/100+0.1 {
			t.Errorf("%v refused in %v s", got, r.Seconds)
		}
		if len(r.Pools) != 1 || r.Server.Handles != 3 || r.Server.Watches != 7 {
			t.Errorf("%+v", r)
		}
	}
}

// TestTop: it goes on until it is interrupted.
func TestTop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 450*time.Millisecond)
	defer cancel()
	_, text, _ := runTop(t, ctx, &busy{})
	if n := strings.Count(text, "CALLS/S"); n < 2 || !strings.Contains(text, "KeyValueService/Put") || !strings.Contains(text, "10ms") ||
		!strings.Contains(text, "4 KiB of 1 MiB in flight") || !strings.Contains(text, "7 of 20 watches") {
		t.Errorf("%d looks:\n%s", n, text)
	}
}

func TestTopRefuses(t *testing.T) {
	for _, c := range []struct {
		sys    system.System
		args   string
		status int
		says   string
	}{
		{&busy{}, "-o json", 2, "needs --once"},
		{&busy{}, "--every 1ms --once", 2, "at least 100ms"},
		{struct{ system.System }{&busy{}}, "--once", out.ExitOther, "no gateway serves"},
	} {
		status, stdout, stderr := runTop(t, t.Context(), c.sys, strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: status %d, %s%s", c.args, status, stdout, stderr)
		}
	}
}
