//go:build linux

package install_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/install"
	"patchmesh/policy"
)

// setFrom is an update of these packages, which go in together.
func setFrom(t *testing.T, root string, all ...deb) install.Job {
	t.Helper()
	payload, named := packed(t, all)
	return setJob(t, root, named, payload)
}

// R-H4: what package tools do for packages that come together happens for a set: a file moves from one member to another,
// and one member must work before the next may be unpacked.
func TestRH4AMemberOfASetBreaksTheOlderOtherOrNeedsItFirst(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	bring(t, deb{name: "tool", version: "1", files: map[string]string{"usr/share/moves": "tool"}}.job(t, root), "")
	j := setFrom(t, root,
		deb{name: "data", version: "2", extra: "Breaks: tool (<< 2)\nReplaces: tool (<< 2)\n", files: map[string]string{"usr/share/moves": "data"}},
		deb{name: "early", version: "2", extra: "Pre-Depends: tool (= 2), later (>= 2)\n"},
		deb{name: "later", version: "2", extra: "Depends: tool (>= 2)\n"},
		deb{name: "tool", version: "2", extra: "Depends: data\n"})
	bring(t, j, "")
	for _, name := range []string{"data", "early", "later", "tool"} {
		if got := status(t, root, name); got != "ii 2" {
			t.Errorf("%s is %q", name, got)
		}
	}
	if got := read(t, filepath.Join(root, "usr/share/moves")); got != "data" {
		t.Errorf("the file that moves is %q's", got)
	}
	audited(t, root)
}

// R-H4, R-H6: a set that breaks a package which is not of it does not take that out of service, and no part of the
// set stays.
func TestRH4ASetThatBreaksAnotherPackageIsAsBefore(t *testing.T) {
	needDpkg(t)
	for _, how := range []string{"Breaks: web-server", "Breaks: service (<< 2)", "Conflicts: service"}[:soak(1, 3)] {
		root := t.TempDir()
		bring(t, deb{name: "service", version: "1", extra: "Provides: web-server\n"}.job(t, root), "")
		one := setFrom(t, root, deb{name: "alpha", version: "1"}, deb{name: "beta", version: "1"})
		bring(t, one, "")
		// Alone each would go in: alpha needs nothing.
		e := bring(t, setFrom(t, root, deb{name: "alpha", version: "2"}, deb{name: "beta", version: "2", extra: how + "\n"}), install.ReasonRolledBack)
		if !strings.Contains(e.Error(), "is back") {
			t.Errorf("%s: %v", how, e)
		}
		for name, want := range map[string]string{"service": "ii 1", "alpha": "ii 1", "beta": "ii 1"} {
			if got := status(t, root, name); got != want {
				t.Errorf("%s: %s is %q, want %q", how, name, got, want)
			}
		}
		audited(t, root)
	}
}

// R-H6: what a set goes back to stays until its probe has spoken, however much else is kept on the machine.
func TestRH6TheWayBackOfASetStaysUntilItsProbeHasSpoken(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	bring(t, twinSet(t, root, "1.0"), "")
	j := twinSet(t, root, "2.0")
	for n := range 64 { // as many as are kept, all of them younger
		name := filepath.Join(j.Keep, fmt.Sprintf("payload-%064x", n))
		write(t, name, "x", 0o600)
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	j.Spec.Probe, j.Spec.ProbeTime = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}, time.Millisecond
	bring(t, j, install.ReasonRolledBack)
	twinsAre(t, root, "ii 1.0,ii 1.0")
	if kept, err := filepath.Glob(filepath.Join(j.Keep, "payload-*")); err != nil || len(kept) > 64+4 {
		t.Errorf("%d payloads are kept, %v", len(kept), err)
	}
}
