// SPDX-License-Identifier: Apache-2.0

package out

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table is text in columns. Cells that are numbers or sizes are for the caller to name: Right says which columns are aligned right.
type Table struct {
	Head  []string
	Right []bool
	rows  [][]string
}

// Row adds a row of as many cells as the head has.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table, with two spaces between columns and none at the end of a line.
func (t *Table) Write(w io.Writer) error {
	rows := append([][]string{t.Head}, t.rows...)
	widths := make([]int, len(t.Head))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(t.line(row, widths))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) line(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i < len(t.Right) && t.Right[i] {
			b.WriteString(pad + cell + "  ")
		} else {
			b.WriteString(cell + pad + "  ")
		}
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// Field is one line of a description.
type Field struct{ Name, Value string }

// Fields writes a description: a name and a value a line. Fields without a value are left out.
func Fields(w io.Writer, fields ...Field) error {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.Name))
	}
	var b strings.Builder
	for _, f := range fields {
		if f.Value != "" {
			b.WriteString(f.Name + strings.Repeat(" ", width-len(f.Name)+2) + f.Value + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
