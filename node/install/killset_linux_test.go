package install_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"patchmesh/node/install"
)

// setScripts are the maintainer scripts of the members of a set, by package and by script.
type setScripts map[string]map[string]string

// setKill is one way in which a set comes in, and what goes wrong on the way.
type setKill struct {
	name     string
	older    bool // the twins are there in version 1.0
	probe    bool // and it will fail
	moved    bool // a file moves from one member to another, so that the new one breaks the older other
	niu, old setScripts
	back     bool // it ends as before, and not installed
	dies     bool // dpkg or the agent is killed by a script, at whatever step
}

const (
	quiet = "#!/bin/sh\nexit 0\n"
	fails = "#!/bin/sh\nexit 7\n"
	// killBack kills dpkg when the older version is configured over the newer one, once.
	killBack = "#!/bin/sh\nif [ \"$2\" = 2.0 ] && [ ! -e /killed ]; then : > /killed; kill -9 $PPID; fi\nexit 0\n"
	// killAgent kills the process that has ordered the install, and gives it time to come back while dpkg works on.
	killAgent = "#!/bin/sh\nif [ -e /agent ] && [ ! -e /killed ]; then : > /killed; read p < /agent; kill -9 $p; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; fi\nexit 0\n"
)

func setKills() []setKill {
	one := func(name, script, text string) setScripts { return setScripts{name: {script: text}} }
	cases := []setKill{
		{name: "newer", older: true},
		{name: "newer, the second member's postinst fails", older: true, niu: one("twin", "postinst", fails), back: true},
		{name: "newer, its probe fails", older: true, probe: true, back: true},
		{name: "fresh"},
		{name: "fresh, its probe fails", probe: true, back: true},
		{name: "fresh, the second member's postinst fails", niu: one("twin", "postinst", fails), back: true},
		{name: "newer, the first member's postinst fails", older: true, niu: one("libtwin", "postinst", fails), back: true},
		{name: "newer, the last member's postinst fails", older: true, niu: one("zwilling", "postinst", fails), back: true},
		{name: "newer, the second member's preinst fails", older: true, niu: one("twin", "preinst", fails), back: true},
		{name: "newer, a file moves", older: true, moved: true},
		{name: "newer, a file moves, its probe fails", older: true, moved: true, probe: true, back: true},
		{name: "newer, a file moves, the first member's postinst fails", older: true, moved: true, niu: one("libtwin", "postinst", fails), back: true},
		{name: "dpkg dies on the way back", older: true, probe: true, old: one("twin", "postinst", killBack), back: true, dies: true},
		{name: "dpkg dies when the new member goes", older: true, probe: true, niu: one("zwilling", "prerm", killOnce), back: true, dies: true},
	}
	for _, older := range []bool{true, false} {
		for _, name := range []string{"libtwin", "twin", "zwilling"} {
			for _, script := range []string{"preinst", "postinst"} {
				cases = append(cases,
					setKill{name: fmt.Sprintf("dpkg dies in the %s of %s, older %v", script, name, older), older: older, niu: one(name, script, killOnce), dies: true},
					setKill{name: fmt.Sprintf("the agent dies in the %s of %s, older %v", script, name, older), older: older, niu: one(name, script, killAgent), dies: true})
			}
		}
	}
	for _, name := range []string{"libtwin", "twin"} {
		for _, script := range []string{"prerm", "postrm"} {
			cases = append(cases, setKill{name: fmt.Sprintf("dpkg dies in the older %s of %s", script, name), older: true, old: one(name, script, killOnce), dies: true})
		}
	}
	return cases
}

// members are the packages of a case: two that need each other in the same version, and in 2.0 a third that both need.
func (c setKill) members(version string, scripts setScripts) []deb {
	lib, prog := twins(version)
	lib.files, prog.files = map[string]string{"usr/lib/twin": version}, map[string]string{"usr/share/twin/v": version}
	all := []*deb{&lib, &prog}
	if version == "1.0" {
		lib.files["usr/lib/moves"] = "libtwin 1.0"
	} else {
		third := deb{name: "zwilling", version: version, extra: "Depends: libtwin (= 2.0)\n", files: map[string]string{"usr/share/zwilling/v": version}}
		if c.moved {
			third.name, third.extra = "atwin", "Depends: libtwin (= 2.0)\nBreaks: libtwin (<< 2.0)\nReplaces: libtwin (<< 2.0)\n"
			third.files["usr/lib/moves"] = "atwin 2.0"
			prog.extra = "Depends: libtwin (= 2.0), atwin (= 2.0)\n"
		} else {
			lib.files["usr/lib/moves"] = "libtwin 2.0"
		}
		all = append(all, &third)
	}
	var out []deb
	for _, d := range all {
		d.scripts = map[string]string{"postinst": quiet}
		maps.Copy(d.scripts, scripts[d.name])
		out = append(out, *d)
	}
	return out
}

// packed is the payload of some packages, and what names them.
func packed(t *testing.T, all []deb) (payload []byte, named string) {
	t.Helper()
	files, order, words := map[string][]byte{}, []string{}, []string{}
	for _, d := range all {
		files[d.name+".deb"] = d.build(t)
		order, words = append(order, d.name+".deb"), append(words, d.name+":all="+d.version)
	}
	slices.Sort(words) // as a seed names them
	return setOf(t, files, order...), strings.Join(words, " ")
}

// prepared is a root as it is before the set comes, to be copied, and the order to bring it in.
func (c setKill) prepared(t *testing.T) doomed {
	t.Helper()
	root := shellRoot(t)
	if c.older {
		payload, named := packed(t, c.members("1.0", c.old))
		bring(t, setJob(t, root, named, payload), "")
	}
	payload, named := packed(t, c.members("2.0", c.niu))
	d := doomed{Root: root, Payload: filepath.Join(t.TempDir(), "set.tar"), Package: "twins", Version: "0", Set: named, Probe: c.probe}
	write(t, d.Payload, string(payload), 0o644)
	return d
}

// at is a copy of the prepared root and the order that ends at a step.
func (d doomed) at(t *testing.T, step int) doomed {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("cp", "-a", d.Root, root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.Root, d.Keep, d.At = root, filepath.Join(root, "kept"), step
	return d
}

// TestRH7KillAtEveryStepOfASet kills the installing process at every step of a set of packages that need each other,
// and dpkg in every script of theirs, the way back among them; then the same order is given again. All members must
// be there, or all as before; nothing half-way is left to anybody.
func TestRH7KillAtEveryStepOfASet(t *testing.T) {
	needDpkg(t)
	if os.Geteuid() != 0 {
		t.Skip("maintainer scripts below a root need chroot, which is root's")
	}
	points, slice := 0, map[string]int{"newer, a file moves, its probe fails": 4, "the agent dies in the postinst of twin, older true": 1}
	for _, c := range setKills() {
		only, is := slice[c.name]
		if soak(1, 0) == 1 && !is {
			continue
		}
		whole := c.prepared(t)
		for at := 1; at <= 6; at++ { // more than there are steps
			if soak(1, 0) == 1 && at != only {
				continue
			}
			d := whole.at(t, at)
			killed := d.run(t)
			if killed || c.dies {
				points++
			}
			c.mend(t, d)
			if !killed || t.Failed() {
				break
			}
		}
	}
	t.Logf("%d failpoints: every set ended installed or as before, as a whole", points)
	if least := soak(2, 100); points < least {
		t.Errorf("%d failpoints, want %d", points, least)
	}
}

// mend gives the order again until it has an end, as often as a machine would within an hour.
func (c setKill) mend(t *testing.T, d doomed) {
	t.Helper()
	// What apply does at its start: the work folder is always safe to delete.
	if err := os.RemoveAll(filepath.Join(d.Root, "work")); err != nil {
		t.Fatal(err)
	}
	j, i := d.job(t), installer(t, "deb")
	var err error
	for range 3 {
		_, err = install.Bring(t.Context(), i, j)
		var e *install.Error
		if err == nil || errors.As(err, &e) && e.Reason == install.ReasonRolledBack {
			break
		}
	}
	third, moves, want := "zwilling", "libtwin 2.0", "ii 2.0,ii 2.0,ii 2.0"
	if c.moved {
		third, moves = "atwin", "atwin 2.0"
	}
	if c.back {
		moves, want = "", ",,"
		if c.older {
			moves, want = "libtwin 1.0", "ii 1.0,ii 1.0,"
		}
	}
	var is []string
	for _, name := range []string{"libtwin", "twin", third} {
		is = append(is, strings.TrimPrefix(strings.TrimSpace(status(t, d.Root, name)), "in")) // chosen once, and not there
	}
	if got := strings.Join(is, ","); got != want || c.back != (err != nil) {
		t.Errorf("%s, killed at step %d: the packages are %q, want %q; the last answer was %v", c.name, d.At, got, want, err)
	}
	if b, _ := os.ReadFile(filepath.Join(d.Root, "usr/lib/moves")); string(b) != moves {
		t.Errorf("%s, killed at step %d: the file that moves holds %q, want %q", c.name, d.At, b, moves)
	}
	audited(t, d.Root)
	for _, dir := range []string{"work", "kept"} {
		entries, _ := os.ReadDir(filepath.Join(d.Root, dir))
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "payload-") && !strings.HasPrefix(e.Name(), "deb-") {
				t.Errorf("%s, killed at step %d: left in %s: %s", c.name, d.At, dir, e.Name())
			}
		}
	}
	if c.back {
		return
	}
	if seen, err := install.Look(t.Context(), i, j); err != nil || !seen.Present {
		t.Errorf("%s, killed at step %d: %+v, %v", c.name, d.At, seen, err)
	}
}
