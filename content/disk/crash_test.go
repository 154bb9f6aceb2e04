package disk_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// The tests start this binary again as a child that works on a folder until it is killed.
const (
	childRole = "PATCHMESH_TEST_CHILD"
	childDir  = "PATCHMESH_TEST_DIR"
	childSave = "PATCHMESH_TEST_SAVE_BYTES"
	childStop = "PATCHMESH_TEST_DIE_AT"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "":
		os.Exit(m.Run())
	case "fill":
		fillUntilKilled()
	case "life":
		liveUntilKilled()
	case "open":
		s, err := disk.Open(os.Getenv(childDir), noReserve)
		if err == nil {
			_ = s.Close()
		}
		fmt.Println(errors.Is(err, content.ErrLocked))
	}
}

func child(t *testing.T, role, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childRole+"="+role, childDir+"="+dir)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// pack is storetest.Packed for a process that is no test.
func pack(plain []byte) (*content.PayloadMap, []byte) {
	var b bytes.Buffer
	m, err := content.Pack(bytes.NewReader(plain), int64(len(plain)), &b)
	must(err)
	return m, b.Bytes()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := disk.Open(dir, noReserve); !errors.Is(err, content.ErrLocked) {
		t.Fatalf("opening again in this process: %v, want ErrLocked", err)
	}
	locked := func() string {
		out, err := child(t, "open", dir).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	if got := locked(); got != "true" {
		t.Fatalf("another process got in: locked=%s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := locked(); got != "false" {
		t.Fatalf("the folder is still locked after close: %s", got)
	}
}

func crashPlain() []byte { return storetest.Mixed(9, 40*content.MinChunkBytes) }

// fillUntilKilled puts chunks from several goroutines and prints each number once Put has returned.
func fillUntilKilled() {
	saveBytes, err := strconv.ParseInt(os.Getenv(childSave), 10, 64)
	must(err)
	s, err := disk.Open(os.Getenv(childDir), disk.Options{ReserveBytes: -1, SaveBytes: saveBytes})
	must(err)
	m, stored := pack(crashPlain())
	have, err := s.Begin(m)
	must(err)
	var work sync.WaitGroup
	for w := range 3 {
		work.Go(func() {
			for i := w; i < m.Len(); i += 3 {
				if have.Has(i) {
					continue
				}
				_, err := s.Put(m.ID(), i, storetest.ChunkOf(m, stored, i))
				must(err)
				fmt.Println(i) // one write of one line: lines do not mix
			}
		})
	}
	work.Wait()
	select {}
}

// A child is killed again and again while it writes. What it had acknowledged is there afterwards,
// whether have-bits were saved all the time or never, and nothing that is there is wrong.
func TestKillLosesNoAcknowledgedChunk(t *testing.T) {
	t.Parallel()
	m, stored := storetest.Packed(t, crashPlain())
	for name, saveBytes := range map[string]int{"never saved": 1 << 40, "saved often": 2 * content.MinChunkBytes} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			rng := rand.New(rand.NewPCG(uint64(saveBytes), 7))
			acked := map[int]bool{}
			for len(acked) < m.Len()*3/4 {
				for _, i := range fillAndKill(t, dir, saveBytes, 1+rng.IntN(6)) {
					if acked[i] {
						t.Fatalf("chunk %d was fetched again after a kill", i)
					}
					acked[i] = true
				}
			}
			s := open(t, dir)
			have, err := s.Begin(m)
			if err != nil {
				t.Fatal(err)
			}
			for i := range acked {
				if !have.Has(i) {
					t.Errorf("chunk %d was acknowledged before the kill and is gone", i)
				}
			}
			checkRight(t, s, m, stored)
			publish(t, s, m, stored)
		})
	}
}

// fillAndKill kills a child after so many acknowledged chunks, and returns all that it had printed.
func fillAndKill(t *testing.T, dir string, saveBytes, lines int) []int {
	t.Helper()
	cmd := child(t, "fill", dir, fmt.Sprintf("%s=%d", childSave, saveBytes))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []int
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		i, err := strconv.Atoi(scan.Text())
		if err != nil {
			t.Fatalf("the child says %q", scan.Text())
		}
		got = append(got, i)
		if len(got) == lines {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return got
}

// life is a short one of a store: a payload is fetched, published, and dropped after another was
// imported. say is told of each step once it is done.
func life(s *disk.Store, say func(step string)) error {
	m, stored := pack(storetest.Mixed(3, 4*content.MinChunkBytes))
	if _, err := s.Begin(m); err != nil {
		return err
	}
	for i := range m.Len() {
		if _, err := s.Put(m.ID(), i, storetest.ChunkOf(m, stored, i)); err != nil {
			return err
		}
		say(fmt.Sprint("put ", i))
	}
	if err := s.Publish(m.ID()); err != nil {
		return err
	}
	say("publish")
	other := storetest.Text(3 * content.MinChunkBytes)
	if _, err := s.Import(bytes.NewReader(other), int64(len(other))); err != nil {
		return err
	}
	say("import")
	if err := s.Drop(m.ID()); err != nil {
		return err
	}
	say("drop")
	return nil
}

// liveUntilKilled dies in the operation of that number; it prints "alive" if it never came to it.
func liveUntilKilled() {
	stop, err := strconv.Atoi(os.Getenv(childStop))
	must(err)
	var mu sync.Mutex
	n := 0
	count := func() {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == stop {
			self, err := os.FindProcess(os.Getpid())
			must(err)
			must(self.Kill())
			select {}
		}
	}
	opt := disk.Options{ReserveBytes: -1, SaveBytes: content.MinChunkBytes}
	s, err := disk.OpenWith(os.Getenv(childDir), opt, disk.System{
		WriteAt: func(f *os.File, b []byte, at int64) (int, error) { count(); return f.WriteAt(b, at) },
		Sync:    func(f *os.File) error { count(); return f.Sync() },
		Rename:  func(from, to string) error { count(); return os.Rename(from, to) },
		Remove:  func(path string) error { count(); return os.Remove(path) },
	})
	must(err)
	must(life(s, func(step string) { fmt.Println(step) }))
	fmt.Println("alive")
}

// A child is killed before every single write, sync, rename and removal of a store's life, until none
// is left. Whatever the moment, the folder opens, keeps what was acknowledged and can go on.
func TestKillAtEveryStepLeavesAStoreThatGoesOn(t *testing.T) {
	t.Parallel()
	m, stored := storetest.Packed(t, storetest.Mixed(3, 4*content.MinChunkBytes))
	other, _ := storetest.Packed(t, storetest.Text(3*content.MinChunkBytes))
	steps := 0
	for stop := 1; ; stop++ {
		dir := filepath.Join(t.TempDir(), "store")
		out, _ := child(t, "life", dir, fmt.Sprintf("%s=%d", childStop, stop)).Output()
		said := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			said[strings.TrimSpace(line)] = true
		}
		s, err := disk.Open(dir, noReserve)
		if err != nil {
			t.Fatalf("killed at step %d: %v", stop, err)
		}
		checkLife(t, s, m, stored, other, said)
		if err := life(s, func(string) {}); err != nil {
			t.Errorf("going on: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if got := filesIn(t, dir); len(got) != 3 { // lock, imported payload and its map
			t.Errorf("in the end there are %q", got)
		}
		if t.Failed() {
			t.Fatalf("killed at step %d after %q", stop, out)
		}
		if said["alive"] {
			steps = stop
			break
		}
	}
	if steps < 25 {
		t.Fatalf("only %d steps were found to die at", steps)
	}
}

// checkLife compares a reopened store with what was acknowledged.
func checkLife(t *testing.T, s *disk.Store, m *content.PayloadMap, stored []byte, other *content.PayloadMap, said map[string]bool) {
	t.Helper()
	have, err := s.Have(m.ID())
	switch {
	case said["drop"]:
		if !errors.Is(err, content.ErrNotFound) {
			t.Errorf("a dropped payload is back: %v", err)
		}
	case said["import"]: // the drop may have begun
	case said["publish"] && !s.Published(m.ID()):
		t.Error("a published payload is not published any more")
	case err == nil:
		for i := range m.Len() {
			if said[fmt.Sprint("put ", i)] && !have.Has(i) {
				t.Errorf("chunk %d was acknowledged and is gone", i)
			}
		}
	case said["put 0"]:
		t.Errorf("the payload is gone: %v", err)
	}
	if err == nil {
		checkRight(t, s, m, stored)
	}
	if said["import"] && !s.Published(other.ID()) {
		t.Error("an imported payload is not published any more")
	}
	for _, name := range filesIn(t, s.Dir()) {
		if strings.HasSuffix(name, ".new") {
			t.Errorf("%s is left", name)
		}
	}
}
