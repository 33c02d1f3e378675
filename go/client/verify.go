// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
	"github.com/tarn-storage/tarn/go/errno"
	"github.com/tarn-storage/tarn/go/system"
)

// showEvery is how often Progress is called.
const showEvery = 200 * time.Millisecond

// Check reads and verifies everything in the pool, and compares the space map with one made anew. Changes wait meanwhile. When ctx ends, the
// gateway is asked to end the check.
func (p *Pool) Check(ctx context.Context, o system.CheckOptions) (system.CheckReport, error) {
	return p.verify(ctx, "pool check", o, func() (*apiv1.Operation, error) {
		resp, err := p.sys.pools.CheckPool(ctx, &apiv1.CheckPoolRequest{Pool: p.name})
		return resp.GetOperation(), err
	})
}

// Scrub reads everything in the pool, and compares it with its checksums, beside other calls. Otherwise as Check.
func (p *Pool) Scrub(ctx context.Context, o system.CheckOptions) (system.CheckReport, error) {
	return p.verify(ctx, "pool scrub", o, func() (*apiv1.Operation, error) {
		resp, err := p.sys.pools.ScrubPool(ctx, &apiv1.ScrubPoolRequest{Pool: p.name, BytesPerSecond: o.BytesPerSecond})
		return resp.GetOperation(), err
	})
}

func (p *Pool) verify(ctx context.Context, op string, o system.CheckOptions, begin func() (*apiv1.Operation, error)) (system.CheckReport, error) {
	if err := p.check(ctx, op); err != nil {
		return system.CheckReport{}, err
	}
	running, err := begin()
	for err == nil && !running.GetDone() {
		running, err = p.await(ctx, running.GetName())
		if err == nil && o.Progress != nil {
			o.Progress(running.GetProgressBytes(), max(running.GetTotalBytes(), running.GetProgressBytes()))
		}
	}
	if err != nil {
		return system.CheckReport{}, fromStatus(ctx, op, p.ref, err)
	}
	report := reportOf(running.GetReport())
	if e := running.GetError(); e != nil {
		return report, errno.New(op, p.ref, errno.Code(e.GetRc()), e.GetMessage())
	}
	return report, nil
}

// await waits a little for the operation. When the caller gives up, so does the operation.
func (p *Pool) await(ctx context.Context, name string) (*apiv1.Operation, error) {
	resp, err := p.sys.operations.WaitOperation(ctx, &apiv1.WaitOperationRequest{Name: name, Timeout: durationpb.New(showEvery)})
	if err != nil && ctx.Err() != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = p.sys.operations.CancelOperation(last, &apiv1.CancelOperationRequest{Name: name})
	}
	return resp.GetOperation(), err
}

func reportOf(r *apiv1.CheckReport) system.CheckReport {
	report := system.CheckReport{Bytes: r.GetBytes(), Findings: r.GetFindings(), Found: []system.Finding{}}
	for _, f := range r.GetFound() {
		report.Found = append(report.Found, system.Finding{
			What: f.GetWhat(), Offset: f.GetOffset(), Length: f.GetLength(), Container: f.GetContainer(), Epoch: f.GetEpoch(),
			Object: f.GetObject(), LastObject: f.GetLastObject(), Low: f.GetLow(), High: f.GetHigh(),
		})
	}
	return report
}
