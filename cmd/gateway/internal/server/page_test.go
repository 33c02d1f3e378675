// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// work puts and gets until the test ends, and fails to get now and then.
func work(t *testing.T, kv system.KV) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			key := fmt.Appendf(nil, "secret-key-%d", i%500)
			_ = kv.Put(ctx, key, []byte("secret-value")) // the page tells what came of it
			_, _ = kv.Get(ctx, key)
			_, _ = kv.Get(ctx, nil) // refused
			time.Sleep(time.Duration(i%7) * time.Millisecond)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// TestPage: in a real browser the page lives, fits a phone, and breaks no rule of its own policy.
func TestPage(t *testing.T) {
	b := startBrowser(t)
	s := start(t, Config{System: engine(t, t.TempDir()), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"})
	sys := dial(t, s.Addr())
	kv := openKV(t, sys)
	if _, err := sys.CreatePool(t.Context(), "spare", system.CreatePool{Size: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := sys.CreatePool(t.Context(), "tiny", system.CreatePool{Size: 1}); errno.CodeOf(err) != errno.Inval {
		t.Fatal(err)
	}
	work(t, kv)
	b.open("http://" + s.Admin() + "/")
	b.until("it serves", `document.getElementById("state").textContent === "● serving"`)
	b.until("five events came", `+document.body.dataset.events >= 5`)
	rate := b.eval(`document.getElementById("now-rate").textContent`)
	b.until("the rate changes", fmt.Sprintf(`document.getElementById("now-rate").textContent !== %q`, rate))
	b.until("a line is drawn", `document.querySelector("#rate path.main").getAttribute("d").split("L").length > 4`)
	for _, want := range []string{"tank", "spare", "KeyValueService.Put", "PoolService.CreatePool", "DER_INVAL", "tank/neo/stadium", "0.0.0-test"} {
		b.until("it shows "+want, fmt.Sprintf(`document.body.textContent.includes(%q)`, want))
	}
	if text := b.eval("document.body.textContent"); strings.Contains(text, "secret-") {
		t.Error("the page shows a key or a value")
	}
	for _, l := range []struct { // how it is looked at
		name, scheme string
		width        int
	}{{"light", "light", 1280}, {"dark", "dark", 1280}, {"phone", "light", 390}, {"phone-dark", "dark", 390}} {
		b.look(l.width, l.scheme)
		b.until("it draws again", fmt.Sprintf(`document.body.dataset.events > %s`, b.eval("document.body.dataset.events")))
		if wide := b.eval("document.documentElement.scrollWidth"); wide != fmt.Sprint(l.width) {
			t.Errorf("at a width of %d the page is %s wide", l.width, wide)
		}
		b.shoot(l.name)
	}
	if len(b.faults) > 0 {
		t.Errorf("the browser says: %s", b.faults)
	}
}
