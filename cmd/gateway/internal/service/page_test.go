// SPDX-License-Identifier: Apache-2.0

package service

import (
	"testing"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// FuzzPage: a page that is taken has a size within its limits, and goes on where its token says; a token of this server is taken.
func FuzzPage(f *testing.F) {
	f.Add(int32(0), "", "")
	f.Add(int32(-1), "dGFuaw", "tank")
	f.Add(int32(1<<30), "=", "\xff\x00")
	f.Fuzz(func(t *testing.T, size int32, text, name string) {
		p, err := pageOf(&apiv1.ListPoolsRequest{PageSize: size, PageToken: text})
		if err == nil && (p.size < 1 || p.size > PageMax || size > 0 && p.size > int(size)) {
			t.Errorf("a page of %d is asked for, and is %d", size, p.size)
		}
		p, err = pageOf(&apiv1.ListPoolsRequest{PageToken: token(name)})
		if err != nil || p.after != name {
			t.Errorf("behind %q: %q, %v", name, p.after, err)
		}
	})
}
