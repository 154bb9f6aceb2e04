// Package cmd holds no code of its own: its tests hold the whole tree to architecture.md.
package cmd

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// repo is the top of the tree as seen from this folder.
const repo = ".."

// source is one parsed Go file.
type source struct {
	path   string // slashes, from the top: "swarm/core.go"
	folder string // "swarm"
	text   string
	fset   *token.FileSet
	ast    *ast.File
}

// exempt files are tests or belong to a suite such as content/storetest: neither is shipped.
func (s source) exempt() bool {
	return strings.HasSuffix(s.path, "_test.go") || isTestFolder(s.folder)
}

func isTestFolder(folder string) bool { return strings.HasSuffix(path.Base(folder), "test") }

// at names a position the way compilers do.
func (s source) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(p).Line)
}

// packageNames maps the local name of each import of importPath to true; "." stands for a dot import.
func (s source) packageNames(importPath string) map[string]bool {
	names := map[string]bool{}
	for _, im := range s.ast.Imports {
		if strings.Trim(im.Path.Value, `"`) != importPath {
			continue
		}
		name := path.Base(importPath)
		if name == "v2" {
			name = path.Base(path.Dir(importPath))
		}
		if im.Name != nil {
			name = im.Name.Name
		}
		names[name] = true
	}
	return names
}

// readTree parses every Go file below root, whatever its build tags say.
func readTree(t *testing.T, root string) []source {
	t.Helper()
	var all []source
	err := walk(root, func(name string, text []byte) error {
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{path: name, folder: path.Dir(name), text: string(text), fset: fset, ast: tree})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// walk visits the files below root; hidden folders, testdata and build results are left out.
func walk(root string, visit func(name string, text []byte) error) error {
	return filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") && rel != "."
			if hidden || d.Name() == "testdata" || rel == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		return visit(rel, text)
	})
}

// plant writes a tree of files for the tests that show a rule biting.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// expectOne fails unless problems has exactly one entry, which contains each of the words.
func expectOne(t *testing.T, problems []string, words ...string) {
	t.Helper()
	if len(problems) != 1 {
		t.Fatalf("want one problem, got %q", problems)
	}
	for _, w := range words {
		if !strings.Contains(problems[0], w) {
			t.Errorf("problem %q does not say %q", problems[0], w)
		}
	}
}
