//go:build unix

package install_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
	"patchmesh/policy"
)

// scriptJob is a job whose payload is a shell script that finds its own arguments, and whose presence
// is that of the file "done" below the root.
func scriptJob(t *testing.T, body string, args map[string]string) install.Job {
	t.Helper()
	root := t.TempDir()
	opened := 0
	j := installtest.Job(installtest.Fixture{Root: root, Work: filepath.Join(root, "work")}, install.Spec{
		Update: "tune", Revision: 1, Installer: "script", FileName: "tune.sh", Args: args, MaxRun: time.Minute,
		Installed: &policy.Condition{File: &policy.FileTest{Path: "/done"}},
	}, []byte("#!/bin/sh\n"+body), &opened)
	j.Keep = filepath.Join(root, "kept")
	return j
}

func scriptReason(t *testing.T, what string, err error, want string) *install.Error {
	t.Helper()
	var e *install.Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Fatalf("%s: %v, want reason %s", what, err, want)
	}
	return e
}

func TestRH4AScriptRunsWithItsSignedArgumentsAndNothingElse(t *testing.T) {
	t.Setenv("SECRET", "of the caller")
	j := scriptJob(t, `[ "$1" = "a b" ] && [ "$2" = '$(id)' ] && [ $# = 2 ] && [ -z "$SECRET" ] || exit 9
pwd > "$PATCHMESH_ROOT/where"; ls -A > "$PATCHMESH_ROOT/lies"; echo said; : > "$PATCHMESH_ROOT/done"`,
		map[string]string{"args": `["a b","$(id)"]`, "remove-args": `["off"]`})
	i := installer(t, "script")
	res, err := i.Install(t.Context(), j)
	if err != nil || !res.Changed || !strings.Contains(res.Log, "said") {
		t.Fatalf("%+v, %v", res, err)
	}
	if where := strings.TrimSpace(read(t, filepath.Join(j.Root, "where"))); !strings.HasPrefix(where, j.Work) || read(t, filepath.Join(j.Root, "lies")) != "" {
		t.Errorf("it ran in %s, where there was %q", where, read(t, filepath.Join(j.Root, "lies")))
	}
	if left := names(t, j.Work); left != "" {
		t.Errorf("left in the work folder: %s", left)
	}
	if res, err := i.Install(t.Context(), j); err != nil || res.Changed {
		t.Errorf("again: %+v, %v, want nothing done", res, err)
	}
}

func TestRH5AScriptIsRemovedByItselfFromAKeptCopy(t *testing.T) {
	j := scriptJob(t, `if [ "$1" = off ]; then rm "$PATCHMESH_ROOT/done"; else : > "$PATCHMESH_ROOT/done"; fi`, map[string]string{"remove-args": `["off"]`})
	i := installer(t, "script")
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	j.Open = nil // the payload is not needed again
	kept, err := filepath.Glob(filepath.Join(j.Keep, "payload-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	good := read(t, kept[0])
	write(t, kept[0], "#!/bin/sh\ntouch \"$PATCHMESH_ROOT/owned\"\n", 0o700)
	_, err = i.Remove(t.Context(), j)
	scriptReason(t, "a kept copy that was changed", err, install.ReasonBadPayload)
	if _, err := os.Stat(filepath.Join(j.Root, "owned")); err == nil {
		t.Fatal("it was run all the same")
	}
	write(t, kept[0], good, 0o700)
	if res, err := i.Remove(t.Context(), j); err != nil || !res.Changed {
		t.Fatalf("%+v, %v", res, err)
	}
	if d, err := i.Detect(t.Context(), j); err != nil || d.Present {
		t.Errorf("after removal: %+v, %v", d, err)
	}
}

func TestRH4ExitCodesMeanWhatTheDescriptorSays(t *testing.T) {
	for name, c := range map[string]struct {
		exit, success, restart string
		reason                 string
		wantsRestart           bool
	}{
		"success":           {exit: "0"},
		"failure":           {exit: "5", reason: install.ReasonExit},
		"another success":   {exit: "5", success: "0,5"},
		"no longer success": {exit: "0", success: "5", reason: install.ReasonExit},
		"restart":           {exit: "194", restart: "194", wantsRestart: true},
	} {
		args := map[string]string{}
		if c.success != "" {
			args["exit-success"] = c.success
		}
		if c.restart != "" {
			args["exit-restart"] = c.restart
		}
		j := scriptJob(t, `: > "$PATCHMESH_ROOT/done"; echo the end; exit `+c.exit, args)
		res, err := installer(t, "script").Install(t.Context(), j)
		if c.reason != "" {
			if e := scriptReason(t, name, err, c.reason); e.Log == "" {
				t.Errorf("%s: no log", name)
			}
			continue
		}
		if err != nil || res.RestartNeeded != c.wantsRestart {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	j := scriptJob(t, "exit 0", nil)
	_, err := installer(t, "script").Install(t.Context(), j)
	scriptReason(t, "content with nothing done", err, install.ReasonUndetected)
}

func TestRH4AScriptThatDoesNotEndIsKilledWithAllItStarted(t *testing.T) {
	j := scriptJob(t, `(sleep 600; : > "$PATCHMESH_ROOT/late") & echo $! > "$PATCHMESH_ROOT/child"; sleep 600`, nil)
	j.Spec.MaxRun = 2 * time.Second
	_, err := installer(t, "script").Install(t.Context(), j)
	scriptReason(t, "endless", err, install.ReasonTimeout)
	gone(t, strings.TrimSpace(read(t, filepath.Join(j.Root, "child"))))
}

// gone waits until a process has ended.
func gone(t *testing.T, pid string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("process %s still runs: %s", pid, b)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRH4TheLogOfAScriptIsBounded(t *testing.T) {
	j := scriptJob(t, `i=0; while [ $i -lt 20000 ]; do echo "line $i and so on and on and on"; i=$((i+1)); done; printf 'last \033[31mline\n'; exit 1`, nil)
	_, err := installer(t, "script").Install(t.Context(), j)
	e := scriptReason(t, "talkative", err, install.ReasonExit)
	if len(e.Log) > 4<<10 || !strings.Contains(e.Log, "last") || strings.ContainsRune(e.Log, 0x1b) {
		t.Errorf("a log of %d bytes that ends in %q", len(e.Log), e.Log[max(0, len(e.Log)-40):])
	}
}

func TestRH4DescriptorsOfScriptsAreCheckedBeforeAnythingRuns(t *testing.T) {
	for name, change := range map[string]func(*install.Spec){
		"no installed rule":     func(s *install.Spec) { s.Installed = nil },
		"arguments as one text": func(s *install.Spec) { s.Args = map[string]string{"args": "-q now"} },
		"a zero byte":           func(s *install.Spec) { s.Args = map[string]string{"args": `["a\u0000b"]`} },
		"an unknown argument":   func(s *install.Spec) { s.Args = map[string]string{"argv": `[]`} },
		"a relative program":    func(s *install.Spec) { s.Args = map[string]string{"interpreter": "sh"} },
		"no exit code":          func(s *install.Spec) { s.Args = map[string]string{"exit-success": "zero"} },
		"endless arguments":     func(s *install.Spec) { s.Args = map[string]string{"args": `["` + strings.Repeat("x", 5000) + `"]`} },
	} {
		j := scriptJob(t, `: > "$PATCHMESH_ROOT/done"`, nil)
		change(&j.Spec)
		_, err := installer(t, "script").Install(t.Context(), j)
		scriptReason(t, name, err, install.ReasonDenied)
		if _, err := os.Stat(filepath.Join(j.Root, "done")); err == nil {
			t.Errorf("%s: it ran", name)
		}
	}
}
