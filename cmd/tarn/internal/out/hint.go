// SPDX-License-Identifier: Apache-2.0

package out

import (
	"errors"

	"github.com/tarn-storage/tarn/go/errno"
)

// hinted is an error together with what the user can do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// WithHint adds what to do to an error. An error that has a hint keeps it; nil stays nil.
func WithHint(err error, hint string) error {
	var h hinted
	if err == nil || errors.As(err, &h) {
		return err
	}
	return hinted{err, hint}
}

// hints are for errors that come without a hint of their own.
var hints = map[errno.Code]string{
	errno.Busy:       "if another process holds it, use it through a gateway: run tarn-gateway with the same --root",
	errno.NoSpace:    "delete what is not needed, or create a larger pool",
	errno.QuotaLimit: "delete what is not needed, or ask for a larger quota",
	errno.Csum:       "do not write to the pool; 'tarn check POOL' says how far the damage goes",
	errno.DataLoss:   "do not write to the pool; 'tarn check POOL' says how far the damage goes",
	errno.DFInval:    "is it the right file or device? 'tarn dev info PATH' says what it is",
	errno.DFIncompt:  "use a newer version of tarn; 'tarn version' prints this one",
	errno.NoPerm:     "see who owns the files with 'ls -l', or name another directory with --root",
	errno.EPRO:       "a device failed, or the pool was opened read-only: see 'tarn pool info POOL'",
	errno.Unreach:    "is the gateway running? Start it with tarn-gateway, or leave --endpoint out to open the pool here",
	errno.NoService:  "is the gateway running? Start it with tarn-gateway, or leave --endpoint out to open the pool here",
	errno.Shutdown:   "the gateway is going down: try again when it is back",
	errno.TimedOut:   "try again, with a longer --timeout if it should take that long",
	errno.Key2Big:    "a key has 1 to 65536 bytes",
	errno.Rec2Big:    "a value has at most 4 GiB, or value_max of its container: see 'tarn cont info POOL/CONTAINER'",
	errno.Canceled:   "what had been acknowledged before the interruption is kept",
	errno.TXRestart:  "someone else changed it meanwhile: try again",
}

// hint is what the user can do about err; "" when there is nothing to say.
func hint(err error) string {
	var h hinted
	if errors.As(err, &h) {
		return h.hint
	}
	code := errno.CodeOf(err)
	if text, ok := hints[code]; ok {
		return text
	}
	if Exit(err) == ExitBusy {
		return "try again in a moment"
	}
	return ""
}
