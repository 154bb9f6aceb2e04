package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/sim"
)

func TestSimPrintsTheObjectThatOthersRead(t *testing.T) {
	dir := t.TempDir()
	var out, errOut bytes.Buffer
	file := filepath.Join(dir, "t.trace")
	if code := run([]string{"sim", "shop-5", "--seed", "3", "--json", "--trace", file, "--plots", dir}, &out, &errOut); code != 0 {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	for _, key := range []string{"machines", "payload_bytes", "wan_bytes", "wan_amplification", "duplicate_ratio", "first_installed_s",
		"last_installed_s", "lower_bound_s", "installed", "failed", "seed", "wall_s", "memory_bytes", "us_per_chunk"} {
		if _, there := got[key]; !there {
			t.Errorf("%s is missing", key)
		}
	}
	if got["seed"] != 3.0 || got["installed"] != 5.0 || got["wan_amplification"] != 1.0 {
		t.Errorf("seed %v, installed %v, WAN %v", got["seed"], got["installed"], got["wan_amplification"])
	}
	b, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if broken, err := sim.Check(b); err != nil || len(broken) > 0 {
		t.Errorf("the written trace: %v, %v", broken, err)
	}
	for _, name := range []string{"completion.svg", "wan-by-site.svg", "bytes-by-tier.svg", "completion.csv", "sites.csv"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(text) < 30 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}

// A run that breaks a promise fails, and the command that it prints repeats it.
func TestSimPrintsHowToRepeatAFailure(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's late")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "late.txt")
	text := "title too slow\nsite a machines=3 wan=1Mbit/s\nupdate u1 size=1MiB\nat 1s approve u1\nexpect within=2s\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"sim", file, "--runs", "3", "--seed", "7"}, &out, &errOut); code != 1 {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	_, again, found := strings.Cut(errOut.String(), "repeat one with: patchmesh ")
	if !found {
		t.Fatalf("no command in %s", errOut.String())
	}
	quoted := "'" + strings.ReplaceAll(file, "'", `'\''`) + "'" // as a shell takes it
	if runtime.GOOS == "windows" {
		quoted = `"` + file + `"`
	}
	rest, found := strings.CutPrefix(again, "sim "+quoted)
	if !found {
		t.Fatalf("%q does not name %s", again, quoted)
	}
	words := append([]string{"sim", file}, strings.Fields(rest)...)
	out.Reset()
	errOut.Reset()
	if code := run(words, &out, &errOut); code != 1 || !strings.Contains(out.String(), "within") {
		t.Errorf("%v: exit %d, %s", words, code, out.String())
	}
}

func TestSimRefusesWhatIsNoScenario(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.txt")
	if err := os.WriteFile(file, []byte("site a machines=3\nfault meteor\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"sim", "nowhere"}, 5, "shop-5"},
		{[]string{"sim", file}, 2, "line 2"},
		{[]string{"sim"}, 2, "takes"},
		{[]string{"sim", "shop-5", "--runs", "0"}, 2, "--runs"},
		{[]string{"sim", "shop-5", "--runs", "2", "--trace", "x"}, 2, "--trace"},
	} {
		var out, errOut bytes.Buffer
		if code := run(c.args, &out, &errOut); code != c.code || !strings.Contains(errOut.String(), c.want) {
			t.Errorf("%v: exit %d, %s", c.args, code, errOut.String())
		}
	}
}

// Who presses Ctrl-C does not wait for a hundred thousand machines, and is told that nothing was judged.
func TestSimStopsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, runs := range []int{1, 5} {
		var out, errOut bytes.Buffer
		a := &app{out: &out, errOut: &errOut}
		err := a.sim(ctx, "sites-200x50", simFlags{seed: 1, runs: runs})
		if api.ClassOf(err) != api.ClassFailed || !strings.Contains(err.Error(), "interrupted") || out.Len() > 0 {
			t.Errorf("%d runs: %v, %s", runs, err, out.String())
		}
	}
}
