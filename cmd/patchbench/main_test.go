package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs the command line in this process.
func call(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestEveryVerbExplainsItself(t *testing.T) {
	code, all, _ := call(t)
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, v := range append([]verb{tableVerb, calibrateVerb}, labVerbs...) {
		if !strings.Contains(all, "patchbench "+v.name) {
			t.Errorf("the help does not name %s", v.name)
		}
		if code, out, _ := call(t, v.name, "--help"); code != 0 || !strings.Contains(out, "example:\n  patchbench "+v.name) {
			t.Errorf("%s --help: exit code %d, %q", v.name, code, out)
		}
	}
}

func TestMistakesExitWithTwo(t *testing.T) {
	for _, args := range [][]string{
		{"measure"}, {"table", "--resluts", "x"}, {"table", "bench/results"},
	} {
		code, out, errOut := call(t, args...)
		if code != exitUsage || out != "" || !strings.Contains(errOut, "hint:") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, errOut)
		}
	}
	if code, _, errOut := call(t, "table", "--results", t.TempDir()); code != exitFailed || !strings.Contains(errOut, "no results") {
		t.Errorf("a table of nothing: exit code %d, %q", code, errOut)
	}
}

func TestTableWritesWhatItSays(t *testing.T) {
	dir := t.TempDir()
	raw, err := os.ReadFile(filepath.Join("..", "..", "bench", "testdata", "wan10.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wan10.jsonl"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := call(t, "table", "--results", dir)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	names := strings.Fields(out)
	if len(names) != 3 {
		t.Errorf("written: %q", names)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
