// SPDX-License-Identifier: Apache-2.0

// Package arg reads what a user types: sizes, paths of objects, keys and values. Every error is a *errno.Error with INVAL, whose
// sentence quotes what was typed.
package arg

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tarn-storage/tarn/go/errno"
)

func invalid(format string, a ...any) error {
	return errno.New("", "", errno.Inval, fmt.Sprintf(format, a...))
}

// units are the binary units of sizes; "G", "GB" and "GiB" mean the same.
const units = "KMGTPE"

// Size reads a size: "4096", "512K", "10G", "1.5GiB". Units are powers of 1024, in either case.
func Size(text string) (uint64, error) {
	number, shift, ok := splitUnit(text)
	if !ok {
		return 0, badSize(text)
	}
	if n, err := strconv.ParseUint(number, 10, 64); err == nil {
		if n > math.MaxUint64>>shift {
			return 0, invalid("the size %q is larger than 2^64-1 bytes", text)
		}
		return n << shift, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	f *= float64(uint64(1) << shift)
	if err != nil || strings.ContainsAny(number, "eExXpPiInN_+-") || f != math.Trunc(f) || f >= math.MaxUint64 {
		return 0, badSize(text)
	}
	return uint64(f), nil
}

func badSize(text string) error {
	return invalid("%q is not a size: give a whole number of bytes, or one with a unit such as 512K, 10G or 1.5TiB", text)
}

// splitUnit cuts "10GiB" into "10" and 30. False when the unit is none.
func splitUnit(text string) (number string, shift uint, ok bool) {
	number = strings.TrimRight(text, "BbKkMmGgTtPpEeIi")
	unit := strings.ToUpper(text[len(number):])
	if unit == "" || unit == "B" {
		return number, 0, number != ""
	}
	i := strings.IndexByte(units, unit[0])
	rest := unit[1:]
	return number, uint(i+1) * 10, number != "" && i >= 0 && (rest == "" || rest == "B" || rest == "IB")
}

// FormatSize writes a size for people: "512 B", "1.5 GiB".
func FormatSize(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1023.95 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + " " + units[unit:unit+1] + "iB"
}
