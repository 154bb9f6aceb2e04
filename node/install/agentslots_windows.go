package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// AgentDir is where the programs of agent updates lie, below Root. Administrators alone can change what lies there.
const AgentDir = `Program Files\patchmesh\versions`

// checkOurs has nothing to look at: folders are guarded by their access lists.
func checkOurs(string, fs.FileInfo) error { return nil }

// Ours says whether this user keeps the pointer of the slots, and not only follows it.
func (s *Slots) Ours() bool { return true }

// unlessBusy repeats what another process is in the way of: a file that somebody reads cannot be replaced here, and
// one that is just being replaced cannot be opened. The pointer is looked at many times a second.
func unlessBusy(f func() error) error {
	for end := time.Now().Add(slotLockWait); ; time.Sleep(5 * time.Millisecond) {
		err := f()
		if err == nil || !isBusy(err) && !errors.Is(err, windows.ERROR_ACCESS_DENIED) || time.Now().After(end) {
			return err
		}
	}
}

// maxLeftPrograms is how many programs of before may still run when another one is placed.
const maxLeftPrograms = 8

// placeProgram gives a program its name. One of that name that still runs cannot be replaced here, but it can be
// given another name; those are removed when they have ended.
func placeProgram(from, to string) error {
	err := os.Rename(from, to)
	if err == nil {
		removeLeft(to)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for i := range maxLeftPrograms {
		left := fmt.Sprintf("%s.was%d", to, i)
		if rerr := os.Remove(left); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			continue // it runs yet
		}
		if rerr := os.Rename(to, left); rerr != nil {
			return errors.Join(err, rerr)
		}
		return os.Rename(from, to)
	}
	return fmt.Errorf("%d programs of before do not end: %w", maxLeftPrograms, err)
}

// removeLeft removes programs of before; one that runs yet is left for the next time.
func removeLeft(to string) {
	for i := range maxLeftPrograms {
		_ = os.Remove(fmt.Sprintf("%s.was%d", to, i))
	}
}
