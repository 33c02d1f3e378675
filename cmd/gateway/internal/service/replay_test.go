// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
)

// counter makes calls that count how often they were run.
type counter struct {
	rs   replays
	runs atomic.Int64
	fail error
	wait time.Duration
}

func (c *counter) call(ctx context.Context, id string) error {
	req := &apiv1.CreatePoolRequest{Label: "tank", RequestId: id}
	_, err := once(ctx, &c.rs, req, func() (*apiv1.CreatePoolResponse, error) {
		c.runs.Add(1)
		time.Sleep(c.wait)
		return &apiv1.CreatePoolResponse{}, c.fail
	})
	return err
}

func (c *counter) want(t *testing.T, what string, runs int64) {
	t.Helper()
	if got := c.runs.Load(); got != runs {
		t.Errorf("%s: run %d times, want %d", what, got, runs)
	}
}

func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

func TestReplayTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counter
		for range 3 {
			if err := c.call(t.Context(), id(1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Minute)
		}
		c.want(t, "within 10 minutes", 1)
		time.Sleep(2 * time.Minute)
		_ = c.call(t.Context(), id(1))
		c.want(t, "after 11 minutes", 2)
		_ = c.call(t.Context(), "")
		_ = c.call(t.Context(), "")
		c.want(t, "without an id", 4)
	})
}

func TestReplayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := counter{wait: time.Second}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := c.call(t.Context(), id(1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		c.want(t, "ten at once", 1)
		go func() { _ = c.call(t.Context(), id(2)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := c.call(ctx, id(2)); !errors.Is(err, errno.TimedOut) {
			t.Errorf("one that waits no longer: %v", err)
		}
		time.Sleep(time.Second)
	})
}

func TestReplayBounds(t *testing.T) {
	c := counter{fail: errno.NoSpace}
	for range 2 {
		if err := c.call(t.Context(), id(1)); !errors.Is(err, errno.NoSpace) {
			t.Errorf("a call that fails: %v", err)
		}
	}
	c.want(t, "a call that failed is run again", 2)
	c.fail = nil
	for i := range 2 * replayMax {
		_ = c.call(t.Context(), id(i))
	}
	if len(c.rs.byID) > replayMax || c.rs.all.Len() != len(c.rs.byID) {
		t.Errorf("%d answers by id, %d in order; at most %d are kept", len(c.rs.byID), c.rs.all.Len(), replayMax)
	}
	c.runs.Store(0)
	_ = c.call(t.Context(), id(2*replayMax-1))
	c.want(t, "the last one is kept", 0)
	_ = c.call(t.Context(), id(0))
	c.want(t, "the first one is not", 1)
}
