// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/fake"
	"github.com/tarn-storage/tarn/cmd/tarn/internal/out"
	"github.com/tarn-storage/tarn/go/system"
)

// damaged are findings of every kind, and the lines that tell of them.
var damaged = []struct {
	finding system.Finding
	want    string
}{
	{system.Finding{What: "12 blocks are lost"}, "tank: 12 blocks are lost"},
	{system.Finding{What: "it is rotten", Offset: 8192, Length: 4096}, "tank: target 0 at 8192 (4 KiB): it is rotten"},
	{system.Finding{What: "it is rotten", Offset: 8192, Length: 16384, Container: "neo", Object: "stadium", LastObject: "stadium",
		Low: []byte("a"), High: []byte("b c")},
		"tank: target 0 at 8192 (16 KiB): container neo object stadium keys from a to before b c: it is rotten"},
	{system.Finding{What: "it is rotten", Container: "neo", Object: "stadium", LastObject: "stadium", Low: []byte{0, 1}},
		`tank: container neo object stadium keys from "\x00\x01" to the last key: it is rotten`},
	{system.Finding{What: "it is rotten", Container: "neo", Object: "stadium", LastObject: "stadium", High: []byte("b")},
		"tank: container neo object stadium keys from the first key to before b: it is rotten"},
	{system.Finding{What: "it is rotten", Container: "neo", Epoch: 7, Object: "river", LastObject: "stadium"},
		"tank: container neo snapshot @7 object river to stadium: it is rotten"},
	{system.Finding{What: "it is rotten", Container: "neo", Object: "stadium", LastObject: "stadium", Low: []byte("a"), High: []byte("a\x00")},
		"tank: container neo object stadium key a: it is rotten"},
	{system.Finding{What: "it is rotten", Container: "neo"}, "tank: container neo: it is rotten"},
}

// TestFindings: a line a finding, and the exit status of corruption.
func TestFindings(t *testing.T) {
	sys := fake.New()
	if _, err := sys.CreatePool(t.Context(), "tank", system.CreatePool{Size: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, d := range damaged {
		sys.Report.Found = append(sys.Report.Found, d.finding)
		want.WriteString(d.want + "\n")
	}
	want.WriteString("tank: and 3 more\n")
	sys.Report.Findings = uint64(len(damaged)) + 3
	for _, command := range []string{"check", "scrub"} {
		var stdout, stderr bytes.Buffer
		s := &session{t: t, sys: sys}
		exit := Run(t.Context(), []string{command, "tank"}, s.env("", &stdout, &stderr, false))
		if exit != out.ExitCorruption || stdout.String() != want.String() {
			t.Errorf("%s: exit status %d, and\n%s\nwant\n%s", command, exit, stdout.String(), want.String())
		}
		if got := stderr.String(); !strings.Contains(got, damaged[0].finding.What) || !strings.Contains(got, "DER_CSUM") {
			t.Errorf("%s says %q", command, got)
		}
	}
}
