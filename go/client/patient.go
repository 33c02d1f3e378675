// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tarn-storage/tarn/go/errno"
)

// A gateway that is full refuses a call before it does anything, so any call may be made again, a change too. It says when at the earliest;
// each further time a client waits longer, and each client for another time, so that they do not come back all at once.
const (
	attempts  = 10
	pauseMore = 20 * time.Millisecond // is added to the gateway's delay before the second attempt: up to so much; before the third twice that
	pauseMost = 5 * time.Second
)

// patient makes a call again while the gateway is full, as long as the call's context allows. The last refusal is what the caller gets.
func patient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	for attempt := 0; ; attempt++ {
		err := invoke(ctx, method, req, reply, cc, opts...)
		delay, full := fullFor(err)
		if !full || attempt == attempts-1 || !sleep(ctx, pauseAfter(attempt, delay)) {
			return err
		}
	}
}

// fullFor is whether an error says that the gateway is full, and for how long at least.
func fullFor(err error) (delay time.Duration, full bool) {
	if err == nil || status.Code(err) != codes.ResourceExhausted {
		return 0, false
	}
	st := status.Convert(err)
	info := infoOf(st)
	if info == nil || info.GetReason() != errno.OverloadRetry.Name() {
		return 0, false
	}
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			delay = retry.GetRetryDelay().AsDuration()
		}
	}
	return min(max(delay, 0), pauseMost), true
}

// pauseAfter is how long to wait after an attempt: what the gateway said, and a random part that may be twice as long each time.
func pauseAfter(attempt int, delay time.Duration) time.Duration {
	more := min(pauseMore+delay/2, pauseMost) << min(attempt, 8)
	return min(delay+rand.N(more), pauseMost)
}

// sleep waits; false when the context ends before that.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
