// SPDX-License-Identifier: Apache-2.0

package systemtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Examples checks that every exported type of the package in the current directory has an example, named after the type alone or after one
// of its methods; and that there are at least so many types.
func Examples(t *testing.T, least int) {
	t.Helper()
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
			look(d, !strings.HasSuffix(name, "_test.go"), types, examples)
		}
	}
	if len(types) < least {
		t.Errorf("only the types %v were found", types)
	}
	for name := range types {
		if !examples[name] {
			t.Errorf("there is no Example%s", name)
		}
	}
}

// look notes what a declaration is: an example, or, when it counts, exported types.
func look(d ast.Decl, counts bool, types, examples map[string]bool) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if what, ok := strings.CutPrefix(d.Name.Name, "Example"); ok {
			what, _, _ = strings.Cut(what, "_")
			examples[what] = true
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if typ, ok := spec.(*ast.TypeSpec); ok && typ.Name.IsExported() && counts {
				types[typ.Name.Name] = true
			}
		}
	}
}
