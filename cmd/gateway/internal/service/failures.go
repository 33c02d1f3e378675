// SPDX-License-Identifier: Apache-2.0

package service

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tarn-storage/tarn/cmd/gateway/internal/watch"
	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// failure are changes of a session that failed alike.
type failure struct {
	method, reason string
	code           codes.Code
}

// failures are how many changes of a frame failed, and how. Always true: it has one entry for each method and code, of which there are few,
// however many changes fail.
type failures map[failure]int

func (f *failures) add(method string, e *apiv1.KeyError) {
	if *f == nil {
		*f = failures{}
	}
	(*f)[failure{method, e.GetReason(), codes.Code(e.GetCode())}]++
}

// tell counts them, and remembers those that an operator asks for, as those of calls by themselves are.
func (f failures) tell(s *Services, object string, began time.Time) {
	took := time.Since(began)
	for what, n := range f {
		s.Counts.Together(what.method, n, took, what.code)
		if s.Watch.Wants(true, took, what.code) {
			s.Watch.Add(true, watch.Event{Time: began, Method: what.method, Ref: watch.RefOf(named(object)), Took: took, Code: what.code,
				Reason: what.reason, Times: n})
		}
	}
}

// named is what has the name of an object.
type named string

// GetObject implements what watch.RefOf asks for.
func (n named) GetObject() string { return string(n) }
