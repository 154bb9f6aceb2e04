package cmd

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pureFolders take the clock and randomness as arguments, so that a run repeats from its seed and the
// simulator can drive the same code in virtual time.
var pureFolders = strings.Fields("content/... policy/... swarm/... sim/...")

// clockAndChance lists what pure folders may not name. "*" stands for every name but those after "except".
var clockAndChance = map[string]struct {
	names, except string
	because       string
}{
	"time":         {names: "Now Since Until After AfterFunc NewTimer NewTicker Tick Sleep", because: "the clock is an argument"},
	"context":      {names: "WithTimeout WithTimeoutCause WithDeadline WithDeadlineCause", because: "a context with an end is a hidden timer"},
	"math/rand":    {names: "*", except: "New NewSource NewZipf Rand Source Source64 Zipf", because: "package-level randomness does not repeat from a seed"},
	"math/rand/v2": {names: "*", except: "New NewPCG NewChaCha8 NewZipf Rand Source PCG ChaCha8 Zipf", because: "package-level randomness does not repeat from a seed"},
	"crypto/rand":  {names: "*", because: "the random reader is an argument"},
}

// goroutineFree folders run on their caller's goroutine: concurrency belongs to the drivers.
var goroutineFree = strings.Fields("policy/... swarm/...")

// Habits: a function fits a screen, a file holds one concept.
const (
	maxFuncLines     = 60
	maxFileLines     = 500
	maxTestFileLines = 800 // tables and worlds of a test belong beside it
)

// longFuncs and longFiles are today's offenders with their length. The numbers only go down: a longer
// one fails, a shorter one asks for its number to be lowered, a split one for its row to go.
var (
	longFuncs = map[string]int{ // "folder.Func" or "folder.Type.Method"
	}
	longFiles = map[string]int{}
)

// unfinished is spelled in pieces so that this file does not name the words itself.
var unfinished = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "X" + "XX"}, "|") + `)\b`)

func TestClockAndChanceAreArguments(t *testing.T) {
	for _, p := range impurities(readTree(t, repo)) {
		t.Error(p)
	}
}

func TestFunctionsAndFilesStayShort(t *testing.T) {
	for _, p := range ratchet(readTree(t, repo), longFuncs, longFiles) {
		t.Error(p)
	}
}

func TestNothingIsLeftUnfinished(t *testing.T) {
	for _, p := range unfinishedWords(t, repo) {
		t.Error(p)
	}
}

func TestPlantedImpuritiesAreFound(t *testing.T) {
	for _, c := range []struct {
		name, file, imports, body string
		words                     []string // none: allowed
	}{
		{"the clock", "swarm/core.go", `"time"`, "_ = time.Now()", []string{"swarm/core.go:4", "time.Now", "argument"}},
		{"a function value of the clock", "policy/window.go", `"time"`, "f := time.Now; _ = f", []string{"time.Now"}},
		{"a timer under another name", "content/disk/disk.go", `clock "time"`, "<-clock.After(1)", []string{"clock.After"}},
		{"durations and instants", "swarm/core.go", `"time"`, "var d time.Duration = time.Second; _ = time.Unix(0, 0).Add(d)", nil},
		{"a method of the same name", "swarm/core.go", `"time"`, "var x struct{ Now func() time.Time }; x.Now()", nil},
		{"a variable that hides the package", "swarm/core.go", `"fmt"`, "time := struct{ Now int }{}; fmt.Print(time.Now)", nil},
		{"a hidden timer", "sim/world.go", `"context"`, "context.WithTimeout(nil, 1)", []string{"hidden timer"}},
		{"common chance", "swarm/picker.go", `"math/rand/v2"`, "_ = rand.IntN(3)", []string{"rand.IntN", "seed"}},
		{"chance from a seed", "swarm/picker.go", `"math/rand/v2"`, "_ = rand.New(rand.NewPCG(1, 2)).IntN(3)", nil},
		{"the system's randomness", "policy/sign.go", `"crypto/rand"`, "_ = rand.Reader", []string{"rand.Reader"}},
		{"a dot import", "sim/world.go", `. "time"`, "_ = Now()", []string{"dot import"}},
		{"a goroutine in the core", "swarm/core.go", ``, "go func() {}()", []string{"goroutine"}},
		{"a goroutine at the edge", "content/disk/disk.go", ``, "go func() {}()", nil},
		{"tests may look at the clock", "swarm/core_test.go", `"time"`, "_ = time.Now()", nil},
		{"node may look at the clock", "node/node.go", `"time"`, "_ = time.Now()", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "package p\nimport (" + c.imports + ")\nfunc f() {\n" + c.body + "\n}\n"
			problems := impurities(readTree(t, plant(t, map[string]string{c.file: text})))
			if c.words == nil {
				if len(problems) > 0 {
					t.Errorf("refused: %q", problems)
				}
				return
			}
			expectOne(t, problems, c.words...)
		})
	}
}

func TestRatchetOnlyGoesDown(t *testing.T) {
	long := func(lines int) []source {
		body := strings.Repeat("\n_ = 1", lines-2)
		text := "package p\n\ntype T struct{}\n\nfunc (t *T) Long() {" + body + "\n}\n"
		return readTree(t, plant(t, map[string]string{"swarm/core.go": text}))
	}
	listed := map[string]int{"swarm.T.Long": 80}
	if got := ratchet(long(60), nil, nil); len(got) > 0 {
		t.Errorf("60 lines were refused: %q", got)
	}
	if got := ratchet(long(80), listed, nil); len(got) > 0 {
		t.Errorf("a listed length was refused: %q", got)
	}
	expectOne(t, ratchet(long(61), nil, nil), "swarm.T.Long", "61 lines")
	expectOne(t, ratchet(long(81), listed, nil), "swarm.T.Long", "81 lines", "80")
	expectOne(t, ratchet(long(79), listed, nil), "swarm.T.Long", "lower its number to 79")
	expectOne(t, ratchet(long(20), listed, nil), "swarm.T.Long", "drop its row")

	text := "package p\n" + strings.Repeat("\n", 500)
	files := ratchet(readTree(t, plant(t, map[string]string{"sim/world.go": text, "sim/world_test.go": text})), nil, nil)
	expectOne(t, files, "sim/world.go", "501 lines")
}

func TestPlantedUnfinishedWordsAreFound(t *testing.T) {
	root := plant(t, map[string]string{
		"swarm/core.go": "package p\n\n// " + "TO" + "DO: later\n",
		"node/id.go":    "package p // mktemp." + strings.Repeat("X", 6) + " is no such word\n",
	})
	expectOne(t, unfinishedWords(t, root), "swarm/core.go:3")
}

// impurities finds clocks, chance and goroutines where they do not belong.
func impurities(files []source) []string {
	var problems []string
	for _, f := range files {
		if f.exempt() {
			continue
		}
		if anyMatch(strings.Join(pureFolders, " "), f.folder) {
			for _, importPath := range slices.Sorted(maps.Keys(clockAndChance)) {
				problems = append(problems, uses(f, importPath)...)
			}
		}
		if anyMatch(strings.Join(goroutineFree, " "), f.folder) {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if g, ok := n.(*ast.GoStmt); ok {
					problems = append(problems, f.at(g.Pos())+": a goroutine: concurrency belongs to the drivers")
				}
				return true
			})
		}
	}
	return problems
}

// uses finds the banned names of one imported package in f.
func uses(f source, importPath string) []string {
	local, ban := f.packageNames(importPath), clockAndChance[importPath]
	if len(local) == 0 {
		return nil
	}
	if local["."] {
		return []string{fmt.Sprintf("%s: dot import of %s hides what is used", f.path, importPath)}
	}
	var problems []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok || !local[id.Name] || isLocal(id) {
			return true
		}
		name := sel.Sel.Name
		banned := slices.Contains(strings.Fields(ban.names), name) ||
			ban.names == "*" && !slices.Contains(strings.Fields(ban.except), name)
		if banned {
			problems = append(problems, fmt.Sprintf("%s: %s.%s: %s", f.at(sel.Pos()), id.Name, name, ban.because))
		}
		return true
	})
	return problems
}

// isLocal tells a variable from a package of the same name: the parser resolves what a file declares
// itself, never its imports.
func isLocal(id *ast.Ident) bool { return id.Obj != nil }

// ratchet compares the lengths of functions and files with what is listed.
func ratchet(files []source, funcs, texts map[string]int) []string {
	funcLines, fileLines := map[string]int{}, map[string]int{}
	for _, f := range files {
		limit := maxFileLines
		if f.exempt() {
			limit = maxTestFileLines
		}
		if n := strings.Count(f.text, "\n"); n > limit || texts[f.path] > 0 {
			fileLines[f.path] = n
		}
		if f.exempt() {
			continue // a long table in a test reads well
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := funcName(f, fn)
			if n := lines(f.fset, fn); n > maxFuncLines || funcs[name] > 0 {
				funcLines[name] = max(n, funcLines[name]) // per system there may be one of a name
			}
		}
	}
	return append(compare("function", maxFuncLines, funcLines, funcs), compare("file", maxFileLines, fileLines, texts)...)
}

func funcName(f source, fn *ast.FuncDecl) string {
	name := fn.Name.Name
	if fn.Recv != nil && len(fn.Recv.List) > 0 {
		recv := fn.Recv.List[0].Type
		if star, ok := recv.(*ast.StarExpr); ok {
			recv = star.X
		}
		switch r := recv.(type) { // a generic receiver has its type inside an index
		case *ast.IndexExpr:
			recv = r.X
		case *ast.IndexListExpr:
			recv = r.X
		}
		if id, ok := recv.(*ast.Ident); ok {
			name = id.Name + "." + name
		}
	}
	return f.folder + "." + name
}

func lines(fset *token.FileSet, n ast.Node) int {
	return fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1
}

func compare(kind string, limit int, found, listed map[string]int) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		n, was := found[name], listed[name]
		switch {
		case was == 0:
			problems = append(problems, fmt.Sprintf("%s %s has %d lines, the habit is %d: find its second concept", kind, name, n, limit))
		case n > was:
			problems = append(problems, fmt.Sprintf("%s %s grew to %d lines from %d: numbers only go down", kind, name, n, was))
		case n <= limit:
			problems = append(problems, fmt.Sprintf("%s %s has %d lines now: drop its row", kind, name, n))
		case n < was:
			problems = append(problems, fmt.Sprintf("%s %s shrank: lower its number to %d", kind, name, n))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if found[name] == 0 {
			problems = append(problems, fmt.Sprintf("%s %s is gone: drop its row", kind, name))
		}
	}
	return problems
}

// unfinishedWords looks through every text that is shipped.
func unfinishedWords(t *testing.T, root string) []string {
	t.Helper()
	var problems []string
	err := walk(root, func(name string, text []byte) error {
		switch path.Ext(name) {
		case ".go", ".md", ".html", ".css", ".js", ".txt", "":
		default:
			return nil
		}
		line := 0
		for l := range strings.Lines(string(text)) {
			line++
			if w := unfinished.FindString(l); w != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: %s: finish it or file it", name, line, w))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return problems
}
