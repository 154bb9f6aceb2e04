package tufdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var errPower = errors.New("the power is gone")

// machine is a folder with a disk behind it: what programs see, and what a power cut would leave.
// Content is durable once written (write syncs it); a name only once its folder is synced.
type machine struct {
	seen, kept map[string]string
	steps      int // done so far
	cutAt      int // the step at which the power goes; -1 never
	half       bool
}

func newMachine() *machine {
	return &machine{seen: map[string]string{}, kept: map[string]string{}, cutAt: -1}
}

// step counts one change; half a change may be done when the power goes.
func (m *machine) step(half func()) error {
	if m.cutAt >= 0 && m.steps >= m.cutAt {
		if m.half && m.steps == m.cutAt {
			half()
			m.steps++
		}
		return errPower
	}
	m.steps++
	return nil
}

func (m *machine) read(name string, _ int64) ([]byte, error) {
	b, ok := m.seen[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return []byte(b), nil
}

func (m *machine) write(name string, b []byte) error {
	// Half a write leaves a torn file under its temporary name.
	if err := m.step(func() { m.seen[name], m.kept[name] = string(b[:len(b)/2]), string(b[:len(b)/2]) }); err != nil {
		return err
	}
	m.seen[name] = string(b)
	return nil
}

func (m *machine) rename(old, new string) error {
	move := func() {
		m.seen[new] = m.seen[old]
		delete(m.seen, old)
	}
	// Half a rename is one that reached the disk although nobody waited for it.
	if err := m.step(func() { move(); m.kept[new] = m.seen[new]; delete(m.kept, old) }); err != nil {
		return err
	}
	move()
	return nil
}

func (m *machine) remove(name string) error {
	if err := m.step(func() { delete(m.seen, name); delete(m.kept, name) }); err != nil {
		return err
	}
	delete(m.seen, name)
	return nil
}

func (m *machine) names(sub string) (out []string, err error) {
	for name := range m.seen {
		if filepath.Dir(name) == filepath.Clean("./"+sub) {
			out = append(out, filepath.Base(name))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (m *machine) syncFolder(sub string) error {
	sync := func() {
		in := func(name string) bool { return filepath.Dir(name) == filepath.Clean("./"+sub) }
		maps.DeleteFunc(m.kept, func(name, _ string) bool { _, there := m.seen[name]; return in(name) && !there })
		for name, b := range m.seen {
			if in(name) {
				m.kept[name] = b
			}
		}
	}
	if err := m.step(sync); err != nil {
		return err
	}
	sync()
	return nil
}

// restart gives the disk after a power cut.
func (m *machine) restart() *machine {
	n := newMachine()
	n.seen, n.kept = maps.Clone(m.kept), maps.Clone(m.kept)
	return n
}

// everyCut runs work on copies of a disk, with the power cut before and within every step, and hands
// the disk that is left to look. done is whether work ended before the cut.
func everyCut(t *testing.T, start *machine, work func(*machine) error, look func(t *testing.T, m *machine, done bool)) {
	t.Helper()
	for _, half := range []bool{false, true} {
		for cut := 0; ; cut++ {
			m := start.restart()
			m.cutAt, m.half = cut, half
			err := work(m)
			if err != nil && !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			t.Run(fmt.Sprintf("cut %d, half %v", cut, half), func(t *testing.T) { look(t, m.restart(), err == nil) })
			if err == nil {
				if cut < 2 {
					t.Fatalf("only %d steps", cut)
				}
				break
			}
		}
	}
}

func client(m *machine) *Client { return &Client{files: m} }

func begin(t *testing.T, m *machine) (root string, mark int64) {
	t.Helper()
	b, mark, err := client(m).Begin()
	if err != nil {
		t.Fatal(err)
	}
	return string(b), mark
}

func load(t *testing.T, m *machine, role string) string {
	t.Helper()
	b, err := client(m).Load(role)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func prepared(t *testing.T) *machine {
	t.Helper()
	m := newMachine()
	c := client(m)
	if err := errors.Join(c.Init([]byte("root 1")), c.Save("timestamp", []byte("timestamp 9")), c.Save("snapshot", []byte("snapshot 9"))); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPowerCutAtEveryStepOfASaveLeavesTheOldOrTheNewFile(t *testing.T) {
	work := func(m *machine) error { return client(m).Save("timestamp", []byte("timestamp 10")) }
	everyCut(t, prepared(t), work, func(t *testing.T, m *machine, done bool) {
		got := load(t, m, "timestamp")
		if got != "timestamp 10" && (done || got != "timestamp 9") {
			t.Fatalf("%q, done %v", got, done)
		}
		// The next start works as if nothing had been.
		if err := work(m); err != nil || load(t, m.restart(), "timestamp") != "timestamp 10" {
			t.Fatalf("after the cut: %v", err)
		}
	})
}

// A root that withdraws keys and the forgetting of what they signed are one step: whenever the new
// root is trusted, the mark says so, until timestamp and snapshot are gone for good.
func TestPowerCutNeverSeparatesARootFromItsMark(t *testing.T) {
	work := func(m *machine) error {
		c := client(m)
		if err := c.SaveRoot([]byte("root 2"), 2); err != nil {
			return err
		}
		return c.Forget()
	}
	everyCut(t, prepared(t), work, func(t *testing.T, m *machine, done bool) {
		root, mark := begin(t, m)
		gone := load(t, m, "timestamp") == "" && load(t, m, "snapshot") == ""
		switch {
		case root == "root 1" && !done:
			if mark != 0 && mark != 2 {
				t.Fatalf("mark %d beside the old root", mark)
			}
			if load(t, m, "timestamp") != "timestamp 9" || load(t, m, "snapshot") != "snapshot 9" {
				t.Fatal("the floor is gone while the old root is trusted")
			}
		case root == "root 2" && mark == 2 && !done, root == "root 2" && gone:
		default:
			t.Fatalf("%s, mark %d, gone %v, done %v", root, mark, gone, done)
		}
		if err := work(m); err != nil {
			t.Fatal(err)
		}
		if root, mark := begin(t, m.restart()); root != "root 2" || mark != 0 {
			t.Fatalf("after the cut: %s, mark %d", root, mark)
		}
	})
}

// A mark that a crash left before its root was saved must not stick to another root.
func TestStaleMarkGoesBeforeTheNextRoot(t *testing.T) {
	m := prepared(t)
	if err := replace(m, "", markFile, []byte("2\n")); err != nil {
		t.Fatal(err)
	}
	work := func(m *machine) error { return client(m).SaveRoot([]byte("root 2 that withdraws nothing"), 0) }
	everyCut(t, m, work, func(t *testing.T, m *machine, done bool) {
		if root, mark := begin(t, m); strings.HasPrefix(root, "root 2") && mark != 0 {
			t.Fatalf("%s has mark %d", root, mark)
		}
	})
}

// Whatever a mirror's head leads to is there, also when the writer was cut off before.
func TestPowerCutNeverShowsAHeadWithoutItsFiles(t *testing.T) {
	put := func(m *machine, n int) error {
		mirror := &Mirror{files: m}
		for _, f := range []string{"targets/%d.manifest.json", "%d.targets.json", "%d.snapshot.json"} {
			if _, err := mirror.Put(fmt.Sprintf(f, n), fmt.Appendf(nil, "document %d", n)); err != nil {
				return err
			}
		}
		_, err := mirror.PutHead("timestamp.json", fmt.Appendf(nil, "%d", n))
		return err
	}
	start := newMachine()
	if err := put(start, 1); err != nil {
		t.Fatal(err)
	}
	look := func(t *testing.T, m *machine, done bool) {
		head := m.seen["timestamp.json"]
		if head != "2" && (done || head != "1") {
			t.Fatalf("head %q, done %v", head, done)
		}
		for _, f := range []string{"targets/" + head + ".manifest.json", head + ".targets.json", head + ".snapshot.json", "1.snapshot.json"} {
			if !strings.HasPrefix(m.seen[f], "document ") {
				t.Fatalf("head %s, but %s is %q", head, f, m.seen[f])
			}
		}
	}
	everyCut(t, start, func(m *machine) error { return put(m, 2) }, func(t *testing.T, m *machine, done bool) {
		look(t, m, done)
		// The second writer finds files that the first one's crash left visible but not durable.
		everyCut(t, m, func(m *machine) error { return put(m, 2) }, look)
	})
}

// The program dies, the machine does not: what was written is visible though its name is not durable.
func TestKilledWriterLeavesNamesThatTheNextOneMakesDurable(t *testing.T) {
	m := newMachine()
	m.seen["targets/a"] = "document"
	mirror := &Mirror{files: m}
	if written, err := mirror.Put("targets/a", []byte("document")); written || err != nil {
		t.Fatalf("%v, %v", written, err)
	}
	if _, err := mirror.PutHead("timestamp.json", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if after := m.restart(); after.seen["targets/a"] != "document" {
		t.Fatal("the head is durable, what it leads to is not")
	}
}

func TestDiskErrorsAreNotAbsence(t *testing.T) {
	m := prepared(t)
	c := &Client{files: broken{m}}
	if _, err := c.Load("timestamp"); err == nil {
		t.Error("a floor that cannot be read was taken for one that is not there")
	}
	if _, _, err := c.Begin(); err == nil || errors.Is(err, ErrNoRoot) {
		t.Errorf("begin: %v", err)
	}
	if err := c.Init([]byte("another root")); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("init: %v", err)
	}
	if root, _ := begin(t, m); root != "root 1" {
		t.Errorf("the trusted root is %q", root)
	}
	if _, err := (&Mirror{files: broken{m}}).Put("x", []byte("y")); err == nil {
		t.Error("put: no error")
	}
}

// broken cannot read.
type broken struct{ *machine }

func (broken) read(string, int64) ([]byte, error) { return nil, fs.ErrPermission }

func TestDamagedMarkIsRefused(t *testing.T) {
	for _, text := range []string{"", "x", "-1", "0", "99999999999999999999"} {
		m := prepared(t)
		m.seen[markFile] = text
		if _, _, err := client(m).Begin(); err == nil {
			t.Errorf("mark %q was taken", text)
		}
	}
}

func TestInitNeverReplacesARoot(t *testing.T) {
	m := prepared(t)
	if err := client(m).Init([]byte("root of a thief")); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("%v, want fs.ErrExist", err)
	}
	if root, _ := begin(t, m); !bytes.Equal([]byte(root), []byte("root 1")) {
		t.Fatalf("the root is %q", root)
	}
}
