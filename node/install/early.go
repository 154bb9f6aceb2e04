package install

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Early holds the copy of a payload that is made while the payload still comes, so that nothing is left to be copied
// when the install begins. The copy is what any install makes: bytes in a file of ours, hashed as they are written.
// It has no name until an install takes it, so whatever ends this process leaves nothing of it, and nobody can open
// it. One is made at a time. Nothing depends on it: what cannot be copied early is copied by the install.
type Early struct {
	mu  sync.Mutex
	now *earlyCopy
}

// earlyCopy is one copy that is being made, or lies ready.
type earlyCopy struct {
	spec  Spec
	file  *os.File
	done  chan struct{} // closed when it is made, or given up
	taken chan struct{} // closed when an install has the file
}

// earlyStager is an installer whose copies may be made early.
type earlyStager interface {
	// earlyFolder opens a folder of the disk that the copy will lie on, and says how it is written.
	earlyFolder(j Job) (dir *os.File, writer func(*os.File) io.Writer, err error)
}

var errEarlyBusy = errors.New("another payload is being copied")

// Copy copies the payload of a job as it comes: what Open gives may wait for bytes. It returns once an install has
// taken the copy, with an error if there is none to be taken, or when ctx ends: then the copy is gone.
func (e *Early) Copy(ctx context.Context, i Installer, j Job) error {
	s, ok := i.(earlyStager)
	if !ok {
		return nil
	}
	c, write, err := e.begin(s, j)
	if err != nil {
		return err
	}
	if err := copyVerified(write(c.file), j); err != nil {
		e.claim(c) // before anybody can: what is not right is never taken
		close(c.done)
		return errors.Join(err, c.file.Close())
	}
	close(c.done)
	select {
	case <-c.taken:
	case <-ctx.Done():
	}
	if !e.claim(c) {
		return nil
	}
	return c.file.Close()
}

// begin opens the file, if there is room for it beside the payload itself, of which much may be still to come.
func (e *Early) begin(s earlyStager, j Job) (*earlyCopy, func(*os.File) io.Writer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now != nil {
		return nil, nil, errEarlyBusy
	}
	dir, write, err := s.earlyFolder(j)
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	if err := j.checkSpace(dir.Name(), 2*j.Spec.PlainBytes); err != nil {
		return nil, nil, err
	}
	f, err := unnamedFile(dir)
	if err != nil {
		return nil, nil, err
	}
	e.now = &earlyCopy{spec: j.Spec, file: f, done: make(chan struct{}), taken: make(chan struct{})}
	return e.now, write, nil
}

// claim makes the caller the owner of the file, if nobody was before.
func (e *Early) claim(c *earlyCopy) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now != c {
		return false
	}
	e.now = nil
	return true
}

// take gives the copy of a payload to the install that places it, under a name in a folder; nil: there is none. A copy
// that is still being made is waited for: all of the payload is there, so making another one would take longer.
func (e *Early) take(ctx context.Context, s Spec, dir *os.File, name string) *os.File {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	c := e.now
	e.mu.Unlock()
	if c == nil || c.spec.SHA256 != s.SHA256 || c.spec.PlainBytes != s.PlainBytes || c.spec.Update != s.Update || c.spec.Revision != s.Revision {
		return nil
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil
	}
	if !e.claim(c) { // given up, or somebody else has it
		return nil
	}
	close(c.taken)
	if err := nameFile(c.file, dir, name); err != nil { // another disk, for one
		_ = c.file.Close()
		return nil
	}
	return c.file
}

// inWork are installers that stage in the work folder, where another program reads the copy next.
type inWork struct{}

func (inWork) earlyFolder(j Job) (*os.File, func(*os.File) io.Writer, error) {
	if err := privateFolder(j.Work); err != nil {
		return nil, nil, err
	}
	dir, err := os.Open(j.Work)
	return dir, func(f *os.File) io.Writer { return &ahead{f: f} }, err
}

// earlyFolder implements earlyStager: where the file goes, or as near to it as there is a folder by now.
func (fileInstaller) earlyFolder(j Job) (*os.File, func(*os.File) io.Writer, error) {
	t, err := openTarget(j)
	if err != nil {
		return nil, nil, err
	}
	defer t.root.Close()
	for dir := t.dir; ; dir = filepath.Dir(dir) {
		d, err := t.root.OpenFile(dir, os.O_RDONLY|openNoBlock, 0)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || dir == "." {
			return d, beside, err
		}
	}
}
