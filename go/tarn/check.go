// SPDX-License-Identifier: Apache-2.0

package tarn

// #include "cgo.h"
import "C"

import (
	"context"
	"sync"
	"time"
	"unsafe"
)

// showEvery is how often Progress is called.
const showEvery = 200 * time.Millisecond

// Check reads and verifies everything that the pool refers to: structure, order, checksums, snapshots, and the space map against one
// computed anew. Changes wait meanwhile. CSUM names the first finding; the report has them, and each is also logged. When ctx ends, the
// check does. Errors also: IO, NOMEM, EP_RO.
//
// Implements: int tarn_pool_check(tarn_pool *, const tarn_check_options *, tarn_check_result *, tarn_event *)
func (p *Pool) Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	return p.verify(ctx, "pool check", o, func(r *C.go_report, s *slot) C.int {
		return C.tarn_pool_check(p.c, &r.options, &r.result, &s.c.ev)
	})
}

// Scrub reads everything that the pool refers to, and compares it with its checksums, beside other calls. Otherwise as Check.
//
// Implements: int tarn_pool_scrub(tarn_pool *, const tarn_check_options *, tarn_check_result *, tarn_event *)
func (p *Pool) Scrub(ctx context.Context, o CheckOptions) (CheckReport, error) {
	return p.verify(ctx, "pool scrub", o, func(r *C.go_report, s *slot) C.int {
		return C.tarn_pool_scrub(p.c, &r.options, &r.result, &s.c.ev)
	})
}

// verify runs start with a report in C memory: the library fills it on a thread of its own, which must not call into Go.
func (p *Pool) verify(ctx context.Context, op string, o CheckOptions, start func(*C.go_report, *slot) C.int) (CheckReport, error) {
	s, err := p.begin(ctx, op)
	if err != nil {
		return CheckReport{}, err
	}
	defer p.end(s)
	r, err := newReport(s, o.BytesPerSecond)
	if err != nil {
		return CheckReport{}, err
	}
	defer C.go_report_free(r)
	stop := follow(r, o.Progress)
	err = s.wait(ctx, start(r, s))
	stop()
	return checkReport(r), err
}

func newReport(s *slot, bytesPerSecond uint64) (*C.go_report, error) {
	mem, err := alloc(s.op, s.ref, C.sizeof_go_report)
	if err != nil {
		return nil, err
	}
	r := (*C.go_report)(mem)
	C.go_report_init(r, C.uint64_t(bytesPerSecond))
	return r, nil
}

// follow calls progress now and then until the function that it returns is called.
func follow(r *C.go_report, progress func(done, all uint64)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				progress(uint64(C.go_report_done(r)), uint64(C.go_report_all(r)))
			}
		}
	})
	return func() {
		close(quit)
		done.Wait()
	}
}

func checkReport(r *C.go_report) CheckReport {
	report := CheckReport{Bytes: uint64(r.result.bytes), Findings: uint64(r.result.findings), Found: []Finding{}}
	for f := r.first; f != nil; f = f.next {
		low := unsafe.Pointer(C.go_finding_keys(f))
		report.Found = append(report.Found, Finding{
			What:       C.GoString(&f.what[0]),
			Offset:     uint64(f.offset),
			Length:     uint64(f.length),
			Container:  C.GoString(&f.container[0]),
			Epoch:      uint64(f.epoch),
			Object:     C.GoString(&f.object[0]),
			LastObject: C.GoString(&f.last_object[0]),
			Low:        C.GoBytes(low, C.int(f.low_len)),
			High:       C.GoBytes(unsafe.Add(low, f.low_len), C.int(f.high_len)),
		})
	}
	return report
}
