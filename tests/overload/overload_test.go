// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/tests/internal/rig"
)

// TestMain is this program, too: it starts itself for loads and attackers.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && (os.Args[1] == "load" || os.Args[1] == "strike") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestMeasure measures a little of everything. What it measures on a busy machine is no matter, but that it does.
func TestMeasure(t *testing.T) {
	var out bytes.Buffer
	args := []string{"-gateway", rig.Bin(t, "tarn-gateway"), "-dir", t.TempDir(), "-rounds", "1", "-window", "300ms", "-times", "1,20", "-parts", "get,attacks",
		"-attacks", "rapid reset of", "-turn", "100ms", "-json", "-seed", "1", "--", "--max-calls", "20"}
	if err := measure(args, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Steps) != 3 || len(r.Attacks) != 1 || r.IdleMiB == 0 {
		t.Fatalf("the report has %d steps and %d attacks, %g MiB", len(r.Steps), len(r.Attacks), r.IdleMiB)
	}
	all, a := Step{}, r.Attacks[0]
	for _, s := range r.Steps { // in one of them the machine may have done something else
		all.Done, all.Refused, all.InGateway.Max = all.Done+s.Done, all.Refused+s.Refused, max(all.InGateway.Max, s.InGateway.Max)
		all.GatewayCPU, all.MemoryMiB = all.GatewayCPU+s.GatewayCPU, max(all.MemoryMiB, s.MemoryMiB)
	}
	if all.Done == 0 || all.Refused == 0 || all.InGateway.Max == 0 || all.GatewayCPU == 0 || all.MemoryMiB < r.IdleMiB {
		t.Errorf("of all steps: %+v", all)
	}
	if a.Quiet.P99 == 0 || a.Attacked.P99 == 0 || a.Frames == 0 || a.Setup.P99 == 0 || a.Calls == 0 || a.Elsewhere.P99 == 0 || a.Gateway.Is == 0 || a.MemoryMiB == 0 {
		t.Errorf("beside an attack: %+v", a)
	}
	var text strings.Builder
	if err := r.write(&text); err != nil || !strings.Contains(text.String(), "20 x") || !strings.Contains(text.String(), a.Attack) {
		t.Errorf("the report for people: %v\n%s", err, &text)
	}
}

// TestRefusesNonsense: what is no number, or makes no sense, is an error and starts nothing.
func TestRefusesNonsense(t *testing.T) {
	for _, args := range []string{"-times 0", "-times x", "-rounds 0", "-conns -1", "-window 0s", "-polite 0", "-gateway /nowhere"} {
		if err := measure(strings.Fields(args+" -dir "+t.TempDir()), t.Output(), t.Output()); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
}
