//go:build linux

package bench

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Update is one file to distribute.
type Update struct {
	Name      string // of the file, on the seed and on every machine
	Path      string // on the seed
	SizeBytes int64
	Sum       [sha256.Size]byte
}

// newUpdates makes the files of one release on the seed: data that no compression shrinks, the same
// for all contenders and in every run.
func newUpdates(s *Site, release int) ([]Update, error) {
	var all []Update
	for i := range s.Scenario.updates() {
		u := Update{Name: fmt.Sprintf("update-%d-%d.bin", release, i), SizeBytes: s.Scenario.SizeBytes}
		u.Path = filepath.Join(s.Seed.Dir, "release", u.Name)
		if err := os.MkdirAll(filepath.Dir(u.Path), 0o755); err != nil {
			return nil, err
		}
		if err := u.write(); err != nil {
			return nil, fmt.Errorf("make %s: %w", u.Path, err)
		}
		all = append(all, u)
	}
	return all, nil
}

func (u *Update) write() error {
	f, err := os.Create(u.Path)
	if err != nil {
		return err
	}
	w, h := bufio.NewWriterSize(f, 1<<20), sha256.New()
	data := rand.NewChaCha8(sha256.Sum256([]byte(u.Name)))
	if _, err := io.CopyN(io.MultiWriter(w, h), data, u.SizeBytes); err != nil {
		return errors.Join(err, f.Close())
	}
	h.Sum(u.Sum[:0])
	return errors.Join(w.Flush(), f.Close())
}

// check compares what a machine has with what was released.
func (u Update) check(m *Machine) error {
	f, err := os.Open(m.Got(u))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if !slices.Equal(h.Sum(nil), u.Sum[:]) {
		return fmt.Errorf("%s has other bytes in %s than were released", m.Name, u.Name)
	}
	return nil
}

// watch notes when machines have all updates of a release. It looks at names alone, so that it costs
// next to nothing.
type watch struct {
	updates []Update
	since   time.Time

	mu      sync.Mutex
	waiting map[*Machine][]Update // still to come
	doneAt  map[*Machine]time.Time
}

// watchInterval bounds how exact the times are.
const watchInterval = 5 * time.Millisecond

func newWatch(machines []*Machine, updates []Update) *watch {
	w := &watch{updates: updates, since: time.Now(), waiting: map[*Machine][]Update{}, doneAt: map[*Machine]time.Time{}}
	for _, m := range machines {
		w.add(m)
	}
	return w
}

func (w *watch) add(m *Machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[m] = slices.Clone(w.updates)
}

func (w *watch) drop(m *Machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, m)
	delete(w.doneAt, m)
}

// look says whether nobody is waited for any more.
func (w *watch) look(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for m, left := range w.waiting {
		left = slices.DeleteFunc(left, func(u Update) bool {
			_, err := os.Stat(m.Got(u))
			return err == nil
		})
		w.waiting[m] = left
		if len(left) == 0 {
			delete(w.waiting, m)
			w.doneAt[m] = now
		}
	}
	return len(w.waiting) == 0
}

// until polls until met, which is asked now and then, or until everybody is done.
func (w *watch) until(ctx context.Context, met func() (bool, error)) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("given up after %.0f s: %s", time.Since(w.since).Seconds(), w.missing())
		case now := <-tick.C:
			if w.look(now) {
				return nil
			}
			if met == nil {
				continue
			}
			if ok, err := met(); ok || err != nil {
				return err
			}
		}
	}
}

func (w *watch) missing() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for m := range w.waiting {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return fmt.Sprintf("%d machines have not got everything (%s)", len(names), strings.Join(names, " "))
}

// seconds are how long the machines took, in rising order.
func (w *watch) seconds() []float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []float64
	for _, at := range w.doneAt {
		all = append(all, at.Sub(w.since).Seconds())
	}
	slices.Sort(all)
	return all
}
