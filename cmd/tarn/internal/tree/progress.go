// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-storage/tarn/cmd/tarn/internal/arg"
)

// Progress draws a bar on a terminal, four times a second. A nil Progress draws nothing. Any goroutine may call.
type Progress struct {
	w                      io.Writer
	unit                   string // "files"
	start                  time.Time
	files, bytes           atomic.Uint64
	totalFiles, totalBytes atomic.Uint64
	totalKnown             atomic.Bool
	quit                   chan struct{}
	drawn                  sync.WaitGroup
}

// NewProgress starts to draw on w.
func NewProgress(w io.Writer) *Progress { return NewProgressOf(w, "files") }

// NewProgressOf counts something else than files.
func NewProgressOf(w io.Writer, unit string) *Progress {
	p := &Progress{w: w, unit: unit, start: time.Now(), quit: make(chan struct{})}
	p.drawn.Go(p.run)
	return p
}

func (p *Progress) run() {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.quit:
			fmt.Fprint(p.w, "\r\x1b[K")
			return
		case <-tick.C:
			fmt.Fprint(p.w, "\r\x1b[K"+p.line(time.Since(p.start)))
		}
	}
}

// Stop wipes the bar. It may be called once.
func (p *Progress) Stop() {
	if p == nil {
		return
	}
	close(p.quit)
	p.drawn.Wait()
}

// Add says that so much more has been moved.
func (p *Progress) Add(files, bytes uint64) {
	if p != nil {
		p.files.Add(files)
		p.bytes.Add(bytes)
	}
}

// Set says how many bytes of how many have been read, where there are no files.
func (p *Progress) Set(done, all uint64) {
	if p != nil {
		p.bytes.Store(done)
		p.totalBytes.Store(all)
		p.totalKnown.Store(all > 0)
	}
}

// SetTotal says how much there is to move.
func (p *Progress) SetTotal(files, bytes uint64) {
	if p != nil {
		p.totalFiles.Store(files)
		p.totalBytes.Store(bytes)
		p.totalKnown.Store(true)
	}
}

// Expect counts with a walk of its own how much there is to move, beside the transfer. stop ends the count and waits for it.
func (p *Progress) Expect(walk func(visit func(found) error) error) (stop func()) {
	if p == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var counting sync.WaitGroup
	counting.Go(func() {
		var files, bytes uint64
		err := walk(func(f found) error {
			files++
			bytes += uint64(f.size)
			return ctx.Err()
		})
		if err == nil { // the transfer's own walk reports errors
			p.SetTotal(files, bytes)
		}
	})
	return func() {
		cancel()
		counting.Wait()
	}
}

const barWidth = 24

// line is what is drawn after some time: a bar when the total is known, else what has been moved so far.
func (p *Progress) line(took time.Duration) string {
	files, bytes := p.files.Load(), p.bytes.Load()
	rate := arg.FormatSize(uint64(float64(bytes)/max(took.Seconds(), 0.001))) + "/s"
	if !p.totalKnown.Load() {
		return fmt.Sprintf("%d %s  %s  %s", files, p.unit, arg.FormatSize(bytes), rate)
	}
	// Files weigh as much as 4 KiB: a tree of small files moves on, too.
	part := float64(bytes+files<<12) / float64(max(p.totalBytes.Load()+p.totalFiles.Load()<<12, 1))
	full := min(int(part*barWidth), barWidth)
	count := ""
	if all := p.totalFiles.Load(); all > 0 {
		count = fmt.Sprintf("  %d/%d %s", files, all, p.unit)
	}
	return fmt.Sprintf("[%s%s] %3.0f%%%s  %s/%s  %s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
		min(part, 1)*100, count, arg.FormatSize(bytes), arg.FormatSize(p.totalBytes.Load()), rate)
}
