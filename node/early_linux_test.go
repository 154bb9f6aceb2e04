package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
	"patchmesh/node/api"
	"patchmesh/swarm/rate"
)

// nameless are the files without a name that this process has open below a folder.
func nameless(t *testing.T, dir string) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir+"/") && strings.HasSuffix(to, " (deleted)") {
			n++
		}
	}
	return n
}

// An update that is to be installed as soon as it is whole is copied to where it goes while it comes. A hold takes
// that copy away, and so does the end of the node; the install leaves none behind.
func TestUpdateIsCopiedWhileItComes(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	l, err := ParseLimit("wan.down=4Mbit")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Egress: EgressYes, Limits: rate.Limits{l}}
	a := m.machine("a", "", cfg)
	root := filepath.Join(m.dir, "a-root")
	if err := os.MkdirAll(filepath.Join(root, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	copies := func(n int) {
		t.Helper()
		until(t, fmt.Sprintf("%d copies", n), func() bool { return nameless(t, root) == n })
	}
	body := noise(9, 3<<20)
	m.file("u1", body)
	m.approve("u1")
	copies(1)
	p, err := m.seed.Hold(t.Context(), api.HoldRequest{Update: "u1", Reason: "breaks the till"})
	if err != nil {
		t.Fatal(err)
	}
	copies(0)
	if _, err := m.seed.Release(t.Context(), api.ReleaseRequest{Hold: p.Hold}); err != nil {
		t.Fatal(err)
	}
	copies(1)
	a.stop()
	copies(0)
	a = m.run("a", Config{Egress: EgressYes})
	installedIs(t, a, "u1", body)
	copies(0)
	if left, _ := filepath.Glob(filepath.Join(root, "srv", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The copy takes room that nothing depends on: where a payload lacks some, it goes first.
func TestCopyThatIsMadeEarlyGoesWhereRoomIsShort(t *testing.T) {
	t.Parallel()
	for name, lack := range map[string]func(t *testing.T, a *running){
		"a payload begins": func(t *testing.T, a *running) {
			other, _ := storetest.Packed(t, noise(11, 1<<20))
			if _, err := a.store.Begin(other); !errors.Is(err, content.ErrNoSpace) {
				t.Error(err)
			}
		},
		"the store is measured": func(_ *testing.T, a *running) { a.checkStore() },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(t)
			l, err := ParseLimit("wan.down=4Mbit")
			if err != nil {
				t.Fatal(err)
			}
			a := m.machine("a", "", Config{Egress: EgressYes, Limits: rate.Limits{l}})
			root := filepath.Join(m.dir, "a-root")
			m.file("u1", noise(10, 3<<20))
			m.approve("u1")
			until(t, "a copy", func() bool { return nameless(t, root) == 1 })
			a.store.Limit(disk.Limits{Reserves: []disk.Room{{Bytes: 9000 << 40}}})
			lack(t, a)
			if left := nameless(t, root); left > 0 {
				t.Errorf("%d copies are left", left)
			}
		})
	}
}
