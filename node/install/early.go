package install

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Early holds the copy of a payload that is made while the payload still comes, so that nothing is left to be copied
// when the install begins. The copy is what any install makes: bytes in a file of ours, hashed as they are written.
// It has no name until an install takes it, so whatever ends this process leaves nothing of it, and nobody can open
// it. One is made at a time. Nothing depends on it: what cannot be copied early is copied by the install, and whoever
// lacks the room has it given up.
type Early struct {
	// Claims is what must stay free beside the copy: what others keep free, and what is still to be written of payloads
	// that come, this one among them. nil: as much as the payload itself.
	Claims func() (int64, error)

	mu   sync.Mutex
	now  *earlyCopy
	last *earlyCopy // that was begun last, which may be over
}

// earlyCopy is one copy that is being made, or lies ready.
type earlyCopy struct {
	spec  Spec
	file  *os.File
	done  chan struct{} // closed when it is made, or given up
	taken chan struct{} // closed when an install has the file
	stop  func()        // has it given up, unless it is taken
	begun time.Time     // by the wall clock
	gone  chan struct{} // closed when it takes no room any more, or is taken

	reads  Coming // the payload; nil: it was not opened yet, or does not come bit by bit. Early.mu owns it, and wanted
	wanted bool   // an install waits for it
}

// Coming is what a payload may be that is copied while it comes.
type Coming interface {
	// NoMore says that all of it should be there: what is missing is not waited for any longer, and fails.
	NoMore()
}

// earlyLife is how long a copy is good for, from its beginning: what was hashed long ago is not taken for what the disk
// holds now, and a payload that does not come any more does not keep the room of its copy.
const earlyLife = time.Hour

// earlyStager is an installer whose copies may be made early.
type earlyStager interface {
	// earlyFolder opens a folder of the disk that the copy will lie on, and says how it is written.
	earlyFolder(j Job) (dir *os.File, writer func(*os.File) io.Writer, err error)
}

var errEarlyBusy = errors.New("another payload is being copied")

// Copy copies the payload of a job as it comes: what open gives may wait for bytes, until its ctx ends. It returns once
// an install has taken the copy, with an error if there is none to be taken, or when ctx ends: then the copy is gone.
func (e *Early) Copy(ctx context.Context, i Installer, j Job, open func(context.Context) (io.ReadCloser, error)) error {
	s, ok := i.(earlyStager)
	if !ok {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, earlyLife)
	defer stop()
	c, write, err := e.begin(s, j, stop)
	if err != nil {
		return err
	}
	defer close(c.gone)
	j.Open = func() (io.ReadCloser, error) {
		r, err := open(ctx)
		if w, ok := r.(Coming); ok {
			e.opened(c, w)
		}
		return r, err
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

// GiveUp is called where room is short: when it returns, there is no early copy that nobody has taken, and its room is free.
func (e *Early) GiveUp() {
	if e == nil {
		return
	}
	e.mu.Lock()
	c := e.last
	e.mu.Unlock()
	if c != nil {
		c.stop()
		<-c.gone
	}
}

// begin opens the file, if there is room for it beside the payload itself, of which much may be still to come.
func (e *Early) begin(s earlyStager, j Job, stop func()) (*earlyCopy, func(*os.File) io.Writer, error) {
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
	claims := j.Spec.PlainBytes
	if e.Claims != nil {
		if claims, err = e.Claims(); err != nil {
			return nil, nil, err
		}
	}
	j.Early = nil // there is none that could be given up for this one
	if err := j.checkSpace(dir.Name(), j.Spec.PlainBytes+claims); err != nil {
		return nil, nil, err
	}
	f, err := unnamedFile(dir)
	if err != nil {
		return nil, nil, err
	}
	e.now = &earlyCopy{
		spec: j.Spec, file: f, stop: stop, begun: time.Now().Round(0), done: make(chan struct{}), taken: make(chan struct{}), gone: make(chan struct{}),
	}
	e.last = e.now
	return e.now, write, nil
}

// opened is told what a copy is read from.
func (e *Early) opened(c *earlyCopy, r Coming) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.reads = r; c.wanted {
		r.NoMore()
	}
}

// want finds the copy of a payload, for an install that waits for it from now on; nil: there is none that may be taken.
func (e *Early) want(s Spec) *earlyCopy {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.now
	if c == nil || c.spec.SHA256 != s.SHA256 || c.spec.PlainBytes != s.PlainBytes || c.spec.Update != s.Update || c.spec.Revision != s.Revision {
		return nil
	}
	c.wanted = true
	if c.reads != nil {
		c.reads.NoMore()
	}
	return c
}

// old: a machine that slept counts that time too, and a clock that was set back says nothing.
func (c *earlyCopy) old() bool {
	age := time.Now().Round(0).Sub(c.begun)
	return age < 0 || age >= earlyLife
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
// that is still being made is waited for: all of the payload should be there, so making another one would take longer.
// If it is not, the copy ends there, and the install finds out for itself what is missing.
func (e *Early) take(ctx context.Context, s Spec, dir *os.File, name string) *os.File {
	if e == nil {
		return nil
	}
	c := e.want(s)
	if c == nil {
		return nil
	}
	if c.old() {
		c.stop()
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
