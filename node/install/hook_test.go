//go:build unix

package install_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/install"
	"patchmesh/policy"
)

// hookedFile is a job that places /srv/tool, with scripts before and after it that note that they ran.
func hookedFile(t *testing.T, before, after string) (install.Job, func() string) {
	t.Helper()
	root, body := t.TempDir(), []byte("new")
	diary := filepath.Join(root, "diary")
	script := func(when, then string) *policy.Hook {
		if then == "" {
			return nil
		}
		return &policy.Hook{TimeoutSeconds: 20, Script: fmt.Sprintf("#!/bin/sh\necho %s $PATCHMESH_HOOK $PATCHMESH_UPDATE $(test -e %s/srv/tool && echo there) >> %s\n%s\n", when, root, diary, then)}
	}
	return install.Job{
			Root: root, Work: filepath.Join(root, "work"), Keep: filepath.Join(root, "keep"),
			Spec: install.Spec{Update: "tool", Revision: 1, Installer: "file", FileName: "tool", Args: map[string]string{"dest": "/srv/tool"},
				SHA256: sha256.Sum256(body), PlainBytes: int64(len(body)), Before: script("first", before), After: script("then", after), ProbeTime: time.Millisecond},
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		}, func() string {
			b, _ := os.ReadFile(diary)
			return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(string(b), " \n", "\n")), "\n", "; ")
		}
}

func bringHooked(t *testing.T, j install.Job, want string) install.Result {
	t.Helper()
	res, err := install.Bring(t.Context(), installer(t, "file"), j)
	var e *install.Error
	if want == "" && err != nil || want != "" && (!errors.As(err, &e) || e.Reason != want) {
		t.Fatalf("%v, want %q", err, want)
	}
	return res
}

func present(t *testing.T, j install.Job) bool {
	t.Helper()
	d, err := install.Look(t.Context(), installer(t, "file"), j)
	if err != nil {
		t.Fatal(err)
	}
	return d.Present
}

func TestRC15ScriptsRunAroundTheInstallAndOnce(t *testing.T) {
	j, diary := hookedFile(t, "exit 0", "exit 0")
	for range 2 {
		if bringHooked(t, j, ""); !present(t, j) {
			t.Fatal("not present")
		}
	}
	if got := diary(); got != "first before tool; then after tool there" {
		t.Errorf("the scripts noted %q", got)
	}
	if left, _ := os.ReadDir(j.Work); len(left) > 0 {
		t.Errorf("left in the work folder: %v", left)
	}
}

func TestRC15AScriptBeforeThatFailsKeepsTheInstallFromStarting(t *testing.T) {
	for name, c := range map[string]struct {
		script, reason string
		seconds        int
	}{
		"an exit code":      {"echo the database is busy; exit 3", install.ReasonExit, 20},
		"no end":            {"sleep 600", install.ReasonTimeout, 1},
		"killed":            {"kill -9 $$", install.ReasonExit, 20},
		"children left too": {"sleep 600 & wait", install.ReasonTimeout, 1},
	} {
		j, diary := hookedFile(t, c.script, "exit 0")
		j.Spec.Before.TimeoutSeconds = c.seconds
		_, err := install.Bring(t.Context(), installer(t, "file"), j)
		var e *install.Error
		if !errors.As(err, &e) || e.Reason != c.reason || !strings.Contains(err.Error(), "before the install of tool") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "an exit code" && (e.ExitCode != 3 || !strings.Contains(e.Log, "the database is busy")) {
			t.Errorf("%s: exit code %d, log %q", name, e.ExitCode, e.Log)
		}
		if _, err := os.Stat(filepath.Join(j.Root, "srv")); err == nil || diary() != "first before tool" {
			t.Errorf("%s: the install went on: %q", name, diary())
		}
	}
}

func TestRC15AScriptAfterThatFailsIsReportedAndRunsAgain(t *testing.T) {
	j, diary := hookedFile(t, "exit 0", "exit 5")
	bringHooked(t, j, install.ReasonExit)
	if present(t, j) {
		t.Error("it counts as installed although its last script has failed")
	}
	if _, err := os.Stat(filepath.Join(j.Root, "srv", "tool")); err != nil {
		t.Errorf("the install was undone: %v", err)
	}
	bringHooked(t, j, install.ReasonExit)
	j.Spec.After.Script = strings.Replace(j.Spec.After.Script, "exit 5", "exit 0", 1)
	bringHooked(t, j, "")
	if got, want := diary(), "first before tool; then after tool there; then after tool there; then after tool there"; got != want || !present(t, j) {
		t.Errorf("the scripts noted %q, present %v", got, present(t, j))
	}
}

func TestRC15ThreeThousandAndTenAsksForARestart(t *testing.T) {
	j, diary := hookedFile(t, "exit 194", "exit 0") // what a system whose codes are bytes makes of 3010
	if res := bringHooked(t, j, ""); !res.RestartNeeded || diary() != "first before tool" {
		t.Errorf("%+v; %q", res, diary())
	}
	// After the restart the work goes on where it was.
	if res := bringHooked(t, j, ""); res.RestartNeeded || !present(t, j) || diary() != "first before tool; then after tool there" {
		t.Errorf("%+v; %q", res, diary())
	}
	j, _ = hookedFile(t, "", "exit 194")
	if res := bringHooked(t, j, ""); !res.RestartNeeded || !present(t, j) {
		t.Errorf("after: %+v", res)
	}
}

func TestRC15AProbeIsAskedAfterTheScriptsAndStillRollsBack(t *testing.T) {
	j, _ := hookedFile(t, "", "touch $PATCHMESH_ROOT/healthy")
	j.Spec.Probe = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}
	bringHooked(t, j, "")
	j, _ = hookedFile(t, "", "exit 1")
	j.Spec.Probe = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}
	bringHooked(t, j, install.ReasonRolledBack)
	if _, err := os.Stat(filepath.Join(j.Root, "srv", "tool")); err == nil {
		t.Error("it was not rolled back")
	}
}

func TestRC15AScriptSeesNothingOfOursAndIsRunFromAPrivateCopy(t *testing.T) {
	t.Setenv("PATCHMESH_SECRET", "s3cret")
	j, _ := hookedFile(t, "env > $PATCHMESH_ROOT/env; ls -ld . $0 > $PATCHMESH_ROOT/modes; cat > $PATCHMESH_ROOT/stdin", "")
	bringHooked(t, j, "")
	if env := read(t, filepath.Join(j.Root, "env")); strings.Contains(env, "s3cret") || !strings.Contains(env, "PATCHMESH_HOOK=before") {
		t.Errorf("environment:\n%s", env)
	}
	for line := range strings.Lines(read(t, filepath.Join(j.Root, "modes"))) {
		if !strings.HasPrefix(line[1:], "rwx------") {
			t.Errorf("others may change it: %s", line)
		}
	}
}
