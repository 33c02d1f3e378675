// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	viewerMax    = 16 // pages open at once
	refreshEvery = time.Second
	writeWithin  = 5 * time.Second // a page that takes nothing for so long is given up
)

//go:embed index.html
var page string

// policy lets the page's own style and script run, by their hashes, and nothing else; the page may ask this address only.
var policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; img-src data:; base-uri 'none'; "+
	"form-action 'none'; frame-ancestors 'none'", hashOf("style"), hashOf("script"))

func hashOf(element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	body, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(body))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	_, _ = w.Write([]byte(page)) // who asked may have gone
}

// status answers once with what the page shows.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.state(0)) // who asked may have gone
}

// events sends what the page shows, every second: first all points of the series, then those that are new.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.viewers <- struct{}{}:
		defer func() { <-s.viewers }()
	default:
		w.Header().Set("Retry-After", "10")
		say(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages are open already; close one of them", viewerMax))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control, last := http.NewResponseController(w), int64(0)
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		now := s.state(last)
		if n := len(now.Points); n > 0 {
			last = now.Points[n-1].Time
		}
		data, err := json.Marshal(now)
		if err == nil {
			err = control.SetWriteDeadline(time.Now().Add(writeWithin))
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "data: %s\n\n", data)
		}
		if err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}
