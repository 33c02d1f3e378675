// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const header = "../../../c/include/tarn/errno.h"

func TestCommittedTableIsCurrent(t *testing.T) {
	c, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	for path, language := range map[string]func([]byte) ([]byte, error){
		"../../errno/codes.go": generate, "../../../clients/python/tarn/_errno.py": generatePython,
	} {
		want, err := language(c)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what c/include/tarn/errno.h says: run go generate ./go/errno", path)
		}
	}
}

func TestBadTablesAreRefused(t *testing.T) {
	for _, c := range []struct{ table, want string }{
		{"", "0 rows"},
		{"\tX(A, 1, NOT_FOUND, \"a\") \\\n\tX(B, two, NOT_FOUND, \"b\")", "of which 1 can be read"},
		{"\tX(A, 1, NO_SUCH_CODE, \"a\")", "does not exist"},
		{"\tX(A, 2, NOT_FOUND, \"a\") \\\n\tX(B, 1, NOT_FOUND, \"b\")", "order"},
	} {
		if _, err := generate([]byte(c.table)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("table %q: got %v, want an error with %q", c.table, err, c.want)
		}
	}
}

func TestGoNames(t *testing.T) {
	for c, want := range map[string]string{
		"NO_HDL": "NoHdl", "NONEXIST": "NonExist", "CONT_NONEXIST": "ContNonExist", "EP_RO": "EPRO", "TX_RESTART": "TXRestart",
		"IO": "IO", "IO_INVAL": "IOInval", "REC2BIG": "Rec2Big", "REC_SIZE": "RecSize", "BUSY": "Busy",
	} {
		if got := goName(c); got != want {
			t.Errorf("%s: got %s, want %s", c, got, want)
		}
	}
}
