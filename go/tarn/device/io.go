// SPDX-License-Identifier: Apache-2.0

package device

// #include "cgo.h"
import "C"

import (
	"unsafe"

	"github.com/tarn-storage/tarn/go/errno"
)

// Opcode says what an IO does.
type Opcode uint8

// The opcodes of tarn_dev_opcode. OpZoneAppend takes the offset of a zone, and leaves there where the data stands.
const (
	OpRead        Opcode = C.TARN_DEV_READ
	OpWrite       Opcode = C.TARN_DEV_WRITE
	OpFlush       Opcode = C.TARN_DEV_FLUSH
	OpDiscard     Opcode = C.TARN_DEV_DISCARD
	OpWriteZeroes Opcode = C.TARN_DEV_WRITE_ZEROES
	OpCompare     Opcode = C.TARN_DEV_COMPARE
	OpZoneAppend  Opcode = C.TARN_DEV_ZONE_APPEND
	OpNop         Opcode = C.TARN_DEV_NOP
)

var opcodeNames = [...]string{"read", "write", "flush", "discard", "write zeroes", "compare", "zone append", "nop"}

// String is "read", "write zeroes".
func (o Opcode) String() string {
	if int(o) < len(opcodeNames) {
		return opcodeNames[o]
	}
	return "unknown opcode"
}

const (
	flagDurable uint8 = C.TARN_DEV_IO_DURABLE
	flagFixed   uint8 = C.TARN_DEV_IO_FIXED
)

// IO is one I/O of a Queue, in C memory: tarn_dev_io. Prepare fills it; from submit to reap it is the queue's, and so is its memory.
type IO struct {
	opcode   Opcode
	flags    uint8
	fixed    uint16
	vecCount uint32
	offset   uint64
	len      uint64
	buf      uintptr // not a pointer: a store of one to C memory would make Go's collector look at what stood there before
	Tag      uint64  // the caller's
	rc       int32
	_        uint32
	message  [96]byte
	_        [2]uintptr
}

// IO is laid out as tarn_dev_io: where it is not, an index here is not 0, and this does not compile.
var (
	same [1]struct{}
	_    = same[unsafe.Sizeof(IO{})-C.sizeof_tarn_dev_io]
	_    = same[unsafe.Offsetof(IO{}.fixed)-unsafe.Offsetof(C.tarn_dev_io{}.fixed)]
	_    = same[unsafe.Offsetof(IO{}.vecCount)-unsafe.Offsetof(C.tarn_dev_io{}.vec_count)]
	_    = same[unsafe.Offsetof(IO{}.offset)-unsafe.Offsetof(C.tarn_dev_io{}.offset)]
	_    = same[unsafe.Offsetof(IO{}.len)-unsafe.Offsetof(C.tarn_dev_io{}.len)]
	_    = same[unsafe.Offsetof(IO{}.buf)-unsafe.Offsetof(C.tarn_dev_io{}.buf)]
	_    = same[unsafe.Offsetof(IO{}.Tag)-unsafe.Offsetof(C.tarn_dev_io{}.tag)]
	_    = same[unsafe.Offsetof(IO{}.rc)-unsafe.Offsetof(C.tarn_dev_io{}.rc)]
	_    = same[unsafe.Offsetof(IO{}.message)-unsafe.Offsetof(C.tarn_dev_io{}.message)]
)

// Prepare makes it an I/O on data at a byte offset, not durable. Data is memory of a Buffer, or pinned with a runtime.Pinner until the
// I/O has been reaped. Tag stays.
func (io *IO) Prepare(op Opcode, offset uint64, data []byte) {
	io.prepare(op, offset, uint64(len(data)), unsafe.Pointer(unsafe.SliceData(data)))
}

// PrepareRange makes it an I/O without data: OpDiscard, OpWriteZeroes; OpFlush and OpNop look at neither offset nor length.
func (io *IO) PrepareRange(op Opcode, offset, length uint64) {
	io.prepare(op, offset, length, nil)
}

// PrepareFixed is Prepare of OpRead or OpWrite with data that lies in the registered buffer of that index: see Queue.Register.
func (io *IO) PrepareFixed(op Opcode, offset uint64, data []byte, index uint16) {
	io.Prepare(op, offset, data)
	io.flags, io.fixed = flagFixed, index
}

func (io *IO) prepare(op Opcode, offset, length uint64, data unsafe.Pointer) {
	io.opcode, io.flags, io.fixed, io.vecCount = op, 0, 0, 0
	io.offset, io.len, io.buf = offset, length, uintptr(data)
}

// Durable makes an OpWrite complete when it would survive a power cut.
func (io *IO) Durable() { io.flags |= flagDurable }

// SetOffset moves what Prepare has made to another byte offset.
func (io *IO) SetOffset(offset uint64) { io.offset = offset }

// Offset is the byte offset; after an OpZoneAppend where the data stands.
func (io *IO) Offset() uint64 { return io.offset }

// Failed says whether the I/O, which has been reaped, has an error: it costs nothing. See Err.
func (io *IO) Failed() bool { return io.rc < 0 }

// Err is the result of an I/O that has been reaped: nil, or an *errno.Error.
func (io *IO) Err() error {
	if io.rc >= 0 {
		return nil
	}
	return errno.New("device "+io.opcode.String(), "", errno.Code(io.rc), io.sentence())
}

func (io *IO) sentence() string { return C.GoString((*C.char)(unsafe.Pointer(&io.message[0]))) }

func (io *IO) c() *C.tarn_dev_io { return (*C.tarn_dev_io)(unsafe.Pointer(io)) }

// newIOs returns n zeroed I/Os in C memory, to be freed with freeIOs; nil when there is none.
func newIOs(n int) []IO {
	p := C.go_alloc(C.size_t(n), C.sizeof_tarn_dev_io)
	if p == nil {
		return nil
	}
	return unsafe.Slice((*IO)(p), n)
}

func freeIOs(ios []IO) { C.free(unsafe.Pointer(unsafe.SliceData(ios))) }
