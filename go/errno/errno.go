// SPDX-License-Identifier: Apache-2.0

// Package errno has Tarn's error codes and its one error type.
//
// The codes are generated from the table of the C library, so that an error has the same name and number in C, in Go, on the wire
// and in the command line. A [Code] is an error by itself and is what errors.Is compares with; an [Error] carries one together with
// the sentence that says what was asked, what was found and what to do:
//
//	if errors.Is(err, errno.NonExist) { ... }
//
// Codes also match the errors of the standard library that mean the same, such as fs.ErrNotExist.
package errno

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

//go:generate go run ../internal/generrno ../../c/include/tarn/errno.h codes.go
//go:generate go run ../internal/generrno ../../c/include/tarn/errno.h ../../clients/python/tarn/_errno.py

// Code is one error of the table: negative as in C, 0 for success.
type Code int32

// OK is success. It is not in the table, because it is no error.
const OK Code = 0

// row is what the table knows of a code.
type row struct {
	code Code
	name string
	grpc uint32
	text string
}

// unknown stands for a number that is not in the table.
var unknown = row{name: "DER_UNKNOWN", grpc: 2, text: "an error that this version does not know"}

func (c Code) row() row {
	if c == OK {
		return row{name: "DER_SUCCESS", text: "success"}
	}
	i, ok := slices.BinarySearchFunc(table[:], c, func(r row, c Code) int { return int(c) - int(r.code) })
	if !ok {
		return unknown
	}
	return table[i]
}

// Name is the DAOS name: "DER_NONEXIST".
func (c Code) Name() string { return c.row().name }

// Text is what the code means, in a few words.
func (c Code) Text() string { return c.row().text }

// GRPC is the number of the gRPC status code that the gateway answers with.
func (c Code) GRPC() uint32 { return c.row().grpc }

// Error is "DER_NONEXIST(-1005): it does not exist".
func (c Code) Error() string { return fmt.Sprintf("%s(%d): %s", c.Name(), int32(c), c.Text()) }

// All returns the codes of the table, in the order of their numbers in C.
func All() []Code {
	codes := make([]Code, len(table))
	for i, r := range table {
		codes[i] = r.code
	}
	return codes
}

// Parse returns the code of a DAOS name. False when the table has none of that name.
func Parse(name string) (Code, bool) {
	i := slices.IndexFunc(table[:], func(r row) bool { return r.name == name })
	if i < 0 {
		return OK, false
	}
	return table[i].code, true
}

// Is reports whether the code means the same as an error of the standard library.
func (c Code) Is(target error) bool {
	switch c {
	case NonExist, NoEntry, ContNonExist:
		return target == fs.ErrNotExist
	case Exist:
		return target == fs.ErrExist
	case NoPerm, OpNotPermitted:
		return target == fs.ErrPermission
	case NoHdl:
		return target == fs.ErrClosed
	case Inval, IOInval, BadPath:
		return target == fs.ErrInvalid
	case TimedOut:
		return target == context.DeadlineExceeded || target == os.ErrDeadlineExceeded
	case Canceled, OpCanceled:
		return target == context.Canceled
	case NotSupported, NoSys:
		return target == errors.ErrUnsupported
	}
	return false
}

// Error is the error of every call of Tarn.
type Error struct {
	Op      string // what was called: "kv get"
	Ref     string // on what: "tank/neo/stadium"
	Code    Code
	Message string // the sentence; "" stands for the code's text
	Index   int    // of the mutation that failed, in its batch; -1 when it is not about one. See New
	Size    uint64 // of the value, when Code is Rec2Big or Trunc and it is known
	Oldest  uint64 // the first revision that can be watched from, when Code is EPOld or Overflow and it is known
	Err     error  // what caused it in Go, such as ctx.Err()
}

// New returns an Error that is about no mutation of a batch.
func New(op, ref string, code Code, message string) *Error {
	return &Error{Op: op, Ref: ref, Code: code, Message: message, Index: -1}
}

// FromContext returns the error of a call whose context ended: TimedOut or Canceled, with ctx.Err() inside.
func FromContext(op, ref string, ctx context.Context) *Error {
	e := New(op, ref, Canceled, "the caller cancelled the call")
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Code, e.Message = TimedOut, "the caller's deadline passed before the answer came"
	}
	e.Err = ctx.Err()
	return e
}

// CodeOf returns the code of an error: OK for nil, the code in its chain, Canceled and TimedOut for a context's error, else Misc.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	return codeOf(err)
}

// codeOf is apart because what errors.As fills costs memory.
func codeOf(err error) Code {
	var code Code
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &code):
		return code
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	return Misc
}

// Sentence is the message, or the code's text when there is none.
func (e *Error) Sentence() string {
	if e.Message == "" {
		return e.Code.Text()
	}
	return e.Message
}

// Error is "kv get tank/neo/stadium: the sentence (DER_NONEXIST)".
func (e *Error) Error() string {
	text := e.Sentence() + " (" + e.Code.Name() + ")"
	if e.Ref != "" {
		text = e.Ref + ": " + text
	}
	switch {
	case e.Op == "":
		return text
	case e.Ref == "":
		return e.Op + ": " + text
	}
	return e.Op + " " + text
}

// Is reports whether target is the error's code, or means the same.
func (e *Error) Is(target error) bool {
	return target == e.Code || e.Code.Is(target)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
