// SPDX-License-Identifier: Apache-2.0

package tarn

// Here is how the C library is found and linked, and what the compiler may assume of it. nocallback: the call does not call back into
// Go. noescape: C keeps no pointer to Go memory after the call (it copies keys, values and ranges), but to what is pinned, which is on
// the heap because it is pinned.

/*
#cgo CFLAGS: -I${SRCDIR}/../../c/include
#cgo LDFLAGS: ${SRCDIR}/../../build/lib/libtarn.a -luring -luuid -lprotobuf-c -lxxhash -lpthread

#cgo nocallback go_reap
#cgo nocallback go_came_to
#cgo nocallback go_kv_put
#cgo nocallback go_kv_del
#cgo nocallback go_kv_get
#cgo nocallback go_kv_exists
#cgo nocallback go_kv_count
#cgo nocallback go_kv_list
#cgo nocallback go_kv_del_range
#cgo nocallback go_writer_open
#cgo nocallback go_writer_write
#cgo nocallback go_reader_open
#cgo nocallback go_reader_read
#cgo nocallback go_kv_apply
#cgo nocallback go_kv_get_many
#cgo nocallback tarn_event_message
#cgo nocallback tarn_event_abort

#cgo noescape go_kv_put
#cgo noescape go_kv_del
#cgo noescape go_kv_get
#cgo noescape go_kv_exists
#cgo noescape go_kv_count
#cgo noescape go_kv_list
#cgo noescape go_kv_del_range
#cgo noescape go_writer_open
#cgo noescape go_writer_write
#cgo noescape go_reader_open
#cgo noescape go_reader_read

#include "cgo.h"
*/
import "C"

// Version is the version of the C library that is linked.
func Version() string { return C.GoString(C.tarn_version()) }
