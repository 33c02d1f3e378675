// SPDX-License-Identifier: Apache-2.0

package role

import (
	"strings"
	"testing"

	apiv1 "github.com/tarn-storage/tarn/go/api/v1"
)

// TestMay is the whole table.
func TestMay(t *testing.T) {
	const (
		none   = apiv1.Access_ACCESS_UNSPECIFIED
		caller = apiv1.Access_ACCESS_CALLER
		reader = apiv1.Access_ACCESS_READER
		writer = apiv1.Access_ACCESS_WRITER
		admin  = apiv1.Access_ACCESS_ADMIN
		raw    = apiv1.Access_ACCESS_RAW
	)
	for set, may := range map[Set]map[apiv1.Access]bool{
		0:            {caller: true},
		Reader:       {caller: true, reader: true},
		Writer:       {caller: true, reader: true, writer: true},
		Admin:        {caller: true, reader: true, writer: true, admin: true},
		Raw:          {caller: true, raw: true},
		Reader | Raw: {caller: true, reader: true, raw: true},
		All:          {caller: true, reader: true, writer: true, admin: true, raw: true},
	} {
		for _, needs := range []apiv1.Access{none, caller, reader, writer, admin, raw, 99} {
			if set.May(needs) != may[needs] {
				t.Errorf("[%s] may %v: %v", set, needs, set.May(needs))
			}
		}
	}
}

func TestParse(t *testing.T) {
	if s, err := Parse([]string{"writer", "raw"}); err != nil || s != Writer|Raw || s.String() != "writer raw" {
		t.Errorf("%v, %v", s, err)
	}
	for _, bad := range []string{"", "Admin", "admin,raw", "root"} {
		if _, err := Parse([]string{"reader", bad}); err == nil {
			t.Errorf("%q is a role", bad)
		}
	}
}

func TestCheckPrincipal(t *testing.T) {
	for name, ok := range map[string]bool{"alice": true, "a.b_c@d-E9": true, "": false, "a b": false, "a/b": false, "a:b": false, "ä": false, "a\n": false,
		strings.Repeat("x", 127): true, strings.Repeat("x", 128): false} {
		if err := CheckPrincipal(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
