package cmd

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promisedRows are the abilities of which it is said that a test carries their number: what an approval means on a machine.
var promisedRows = strings.Fields(`
A8 A9
B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B13 B14 B16 B18
C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15
G1 G2 G3 G4 G5 G6 G7 G8 G9
H1 H2 H3 H4 H5 H6 H7 H8 H9 H10 H11
J11 M1 M3 M4 M7`)

// rowNumber is one row at the head of a test's name: TestRG5RG6Scan carries G5 and G6.
var rowNumber = regexp.MustCompile(`^R([A-Z][0-9]+)`)

// rowsOf tells which rows the name of a test carries.
func rowsOf(name string) (rows []string) {
	rest, isTest := strings.CutPrefix(name, "Test")
	for isTest {
		m := rowNumber.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		rows, rest = append(rows, m[1]), rest[len(m[0]):]
	}
	return rows
}

// rowlessTests are the promised rows of which no test of the files carries the number. Only what plain go test runs on Linux
// counts: functions of one *testing.T in a _test.go file without a tag, so that no row rests on tests that are seldom run.
func rowlessTests(t *testing.T, files []source) []string {
	plain := build.Default
	plain.GOOS, plain.GOARCH, plain.BuildTags, plain.CgoEnabled = "linux", "amd64", nil, false
	carried := map[string]bool{}
	for _, f := range files {
		if !strings.HasSuffix(f.path, "_test.go") || !matches(t, plain, f) {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, isFunc := d.(*ast.FuncDecl)
			if !isFunc || fn.Recv != nil || fn.Type.Params.NumFields() != 1 {
				continue
			}
			if at, isPointer := fn.Type.Params.List[0].Type.(*ast.StarExpr); !isPointer || !isT(at.X) {
				continue
			}
			for _, r := range rowsOf(fn.Name.Name) {
				carried[r] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(promisedRows), func(r string) bool { return carried[r] })
}

func isT(x ast.Expr) bool {
	s, isSelector := x.(*ast.SelectorExpr)
	return isSelector && s.Sel.Name == "T"
}

// matches says whether the go command takes a file into a build of this kind.
func matches(t *testing.T, kind build.Context, f source) bool {
	kind.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(f.text)), nil }
	taken, err := kind.MatchFile(path.Dir(f.path), path.Base(f.path))
	if err != nil {
		t.Fatalf("%s: %v", f.path, err)
	}
	return taken
}

func TestEveryPromisedRowHasATestThatCarriesItsNumber(t *testing.T) {
	for _, r := range rowlessTests(t, readTree(t, repo)) {
		t.Errorf("no test carries R-%s: name one TestR%s..., which fails when the ability goes", r, r)
	}
}

// What does not run, or only looks like a test, carries no row.
func TestARowRestsOnATestThatRuns(t *testing.T) {
	for _, c := range []struct {
		path, text string
		carries    bool
	}{
		{"node/a_test.go", "func TestRG5RG6Scan(t *testing.T) {}", true},
		{"node/a_linux_test.go", "func TestRG6Scan(t *testing.T) {}", true},
		{"node/a_windows_test.go", "func TestRG6Scan(t *testing.T) {}", false},
		{"node/a_test.go", "//go:build e2e\n\nfunc TestRG6Scan(t *testing.T) {}", false},
		{"node/a_test.go", "func TestRG6Scan(b *testing.B) {}", false},
		{"node/a_test.go", "func TestRG6Scan() {}", false},
		{"node/a_test.go", "func TestRG60Scan(t *testing.T) {}", false},
		{"node/a.go", "func TestRG6Scan(t *testing.T) {}", false},
		{"node/a_test.go", "// func TestRG6Scan(t *testing.T) {}", false},
	} {
		tag, body, tagged := strings.Cut(c.text, "\n\n")
		if !tagged {
			tag, body = "", c.text
		}
		text := tag + "\n\npackage node\n\nimport \"testing\"\n\n" + body + "\n"
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, c.path, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := !slices.Contains(rowlessTests(t, []source{{path: c.path, folder: "node", text: text, fset: fset, ast: tree}}), "G6"); got != c.carries {
			t.Errorf("%s: %q carries the row %v, want %v", c.path, c.text, got, c.carries)
		}
	}
}
