// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package device

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryTypeHasAnExample, named after the type alone or after one of its methods.
func TestEveryTypeHasAnExample(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	types, examples := map[string]bool{}, map[string]bool{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				what, _, _ := strings.Cut(strings.TrimPrefix(d.Name.Name, "Example"), "_")
				examples[what] = strings.HasPrefix(d.Name.Name, "Example") || examples[what]
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if typ, ok := spec.(*ast.TypeSpec); ok && typ.Name.IsExported() && !strings.HasSuffix(name, "_test.go") {
						types[typ.Name.Name] = true
					}
				}
			}
		}
	}
	if len(types) < 10 {
		t.Errorf("only the types %v were found", types)
	}
	for name := range types {
		if !examples[name] {
			t.Errorf("there is no Example%s", name)
		}
	}
}
