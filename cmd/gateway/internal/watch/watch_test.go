// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tarn-storage/tarn/cmd/internal/latency"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

func add(l *Log, took time.Duration, code codes.Code) {
	if l.Wants(false, took, code) {
		l.Add(false, Event{Time: time.Now(), Took: took, Code: code})
	}
}

// TestSlow: the slowest twenty of an hour, whatever comes in between, and none that is older.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Log
		for i := range 1000 {
			add(&l, time.Duration(i*7919%1000)*time.Millisecond, codes.OK)
		}
		slow := l.Slow(time.Now())
		if len(slow) != slowKept || slow[0].Took != 999*time.Millisecond || slow[19].Took != 980*time.Millisecond {
			t.Fatalf("the slowest are %v", slow)
		}
		time.Sleep(10 * time.Minute)
		l.Tick(time.Now())
		add(&l, time.Millisecond, codes.OK) // the slowest of its five minutes, and not of the hour
		if slow := l.Slow(time.Now()); len(slow) != slowKept || slow[19].Took != 980*time.Millisecond {
			t.Errorf("ten minutes later: %v", slow)
		}
		time.Sleep(52 * time.Minute)
		if slow := l.Slow(time.Now()); len(slow) != 1 || slow[0].Took != time.Millisecond {
			t.Errorf("an hour later: %v", slow)
		}
	})
}

// TestStreams: one that lasts is not slow, but one that fails is remembered.
func TestStreams(t *testing.T) {
	var l Log
	if l.Wants(true, time.Hour, codes.OK) || !l.Wants(true, 0, codes.Internal) {
		t.Error("streams are not told apart")
	}
	l.Add(true, Event{Took: time.Hour, Code: codes.Internal})
	if len(l.Slow(time.Now())) != 0 || len(l.Errors()) != 1 {
		t.Errorf("slow %v, errors %v", l.Slow(time.Now()), l.Errors())
	}
}

func TestErrors(t *testing.T) {
	var l Log
	for i := range 3 * errorKept / 2 {
		l.Add(false, Event{Ref: fmt.Sprint(i), Took: time.Duration(i), Code: codes.Internal})
		add(&l, time.Duration(i), codes.NotFound)
	}
	for range 2 * errorKept {
		l.Add(false, Event{Ref: "74", Took: 74, Code: codes.Internal})
	}
	all := l.Errors()
	if len(all) != errorKept || all[0].Took != 74 || all[errorKept-1].Took != 25 {
		t.Errorf("%d errors, from %v to %v", len(all), all[0].Took, all[len(all)-1].Took)
	}
	if all[0].Times != 1+2*errorKept || all[1].Times != 1 {
		t.Errorf("a flood of one error is %d, and another %d", all[0].Times, all[1].Times)
	}
	for _, e := range all {
		if e.Code != codes.Internal {
			t.Errorf("%v is an answer", e.Code)
		}
	}
	var none *Log
	if none.Wants(false, time.Hour, codes.Internal) {
		t.Error("a nil log wants a call")
	}
}

func TestRef(t *testing.T) {
	for _, c := range []struct {
		req  any
		want string
	}{
		{&apiv1.PutRequest{Object: "tank/neo/stadium", Key: []byte("secret")}, "tank/neo/stadium"},
		{&apiv1.GetPoolRequest{Pool: "tank"}, "tank"},
		{&apiv1.GetContainerRequest{Container: "tank/neo"}, "tank/neo"},
		{&apiv1.EchoRequest{}, ""},
		{&apiv1.PutRequest{Object: strings.Repeat("é", 300)}, strings.Repeat("é", 200) + "…"},
		{nil, ""},
	} {
		if got := RefOf(c.req); got != c.want {
			t.Errorf("%v: %q, want %q", c.req, got, c.want)
		}
	}
}

func TestSeries(t *testing.T) {
	var s Series
	var h latency.Histogram
	begin := time.Unix(1000, 0)
	for i := range 2 * seriesKept {
		h.Add(time.Millisecond)
		s.Add(begin.Add(time.Duration(i)*2*time.Second), Totals{Calls: uint64(10 * i), Errors: uint64(i), Latency: h.Counts()})
	}
	all := s.After(0)
	if len(all) != seriesKept {
		t.Fatalf("%d points", len(all))
	}
	if p := all[0]; p.Rate != 5 || p.Errors != 0.5 || p.P50 < 0.0005 || p.P50 > 0.001 || p.P99 < p.P50 {
		t.Errorf("a point is %+v", p)
	}
	if rest := s.After(all[seriesKept-3].Time); len(rest) != 2 || rest[1] != all[seriesKept-1] {
		t.Errorf("after the third last: %+v", rest)
	}
}
