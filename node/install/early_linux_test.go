package install_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"patchmesh/node/install"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// coming is a payload that comes in two halves.
type coming struct {
	io.Reader
	more    *io.PipeWriter
	opened  int
	matched bool
	noMore  func()
}

func (*coming) Close() error     { return nil }
func (c *coming) Matched()       { c.matched = true }
func (c *coming) Recheck() error { return nil }
func (c *coming) NoMore() {
	if c.noMore != nil {
		c.noMore()
	}
}

// begun is a job whose payload is being copied early, of which half has been read.
func begun(t *testing.T, i install.Installer, j *install.Job, body []byte) (c *coming, stop func(), done chan error) {
	t.Helper()
	r, w := io.Pipe()
	c, done = &coming{Reader: r, more: w}, make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	j.Early = &install.Early{}
	j.Open = func() (io.ReadCloser, error) { c.opened++; return c, nil }
	open := func(ctx context.Context) (io.ReadCloser, error) {
		context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
		return j.Open()
	}
	go func() { done <- j.Early.Copy(ctx, i, *j, open) }()
	if _, err := w.Write(body[:len(body)/2]); err != nil {
		t.Fatal(err)
	}
	return c, stop, done
}

// filesBelow are all files below a folder.
func filesBelow(t *testing.T, dir string) (all []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// A payload that is copied while it comes has no name before the install, and is read only once.
func TestPayloadCopiedWhileItComesIsPlacedByTheInstall(t *testing.T) {
	root, body := t.TempDir(), randomBody(3<<20+17)
	i, j := installer(t, "file"), fileJob(root, "/opt/new/tool", body)
	j.Spec.Args["mode"] = "0755"
	c, _, done := begun(t, i, &j, body)
	if left := filesBelow(t, root); len(left) > 0 {
		t.Fatalf("before the install: %v", left)
	}
	placed := make(chan error, 1)
	go func() {
		_, err := i.Install(t.Context(), j) // waits for the rest
		placed <- err
	}()
	if _, err := c.more.Write(body[len(body)/2:]); err != nil {
		t.Fatal(err)
	}
	c.more.Close()
	if err := errors.Join(<-placed, <-done); err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(root, "opt", "new", "tool")
	if got := read(t, dest); got != string(body) || c.opened != 1 || !c.matched {
		t.Errorf("%d bytes, opened %d times, matched %v", len(got), c.opened, c.matched)
	}
	if fi, err := os.Stat(dest); err != nil || fi.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", fi, err)
	}
	if left := filesBelow(t, root); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// What is wrong with an early copy costs nothing but that copy: the install makes its own, and looks at that one.
func TestEarlyCopyThatIsOfNoUseIsMadeAgain(t *testing.T) {
	body := randomBody(1<<20 + 5)
	whole := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	for name, spoil := range map[string]func(t *testing.T, c *coming, stop func(), j *install.Job){
		"wrong bytes": func(_ *testing.T, c *coming, _ func(), _ *install.Job) {
			_, _ = c.more.Write(bytes.Repeat([]byte{1}, len(body)-len(body)/2))
			c.more.Close()
		},
		"cut off":     func(_ *testing.T, c *coming, _ func(), _ *install.Job) { c.more.Close() },
		"not wanted":  func(_ *testing.T, _ *coming, stop func(), _ *install.Job) { stop() },
		"chunks lost": func(_ *testing.T, c *coming, _ func(), _ *install.Job) { c.more.CloseWithError(io.ErrClosedPipe) },
		"another disk": func(t *testing.T, c *coming, _ func(), j *install.Job) {
			dir, err := os.MkdirTemp("/dev/shm", "patchmesh-test-")
			if err != nil {
				t.Skip("no second file system here")
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			_, _ = c.more.Write(body[len(body)/2:])
			c.more.Close()
			j.Root = dir
		},
		"chunks lost before it began": func(_ *testing.T, c *coming, _ func(), _ *install.Job) {
			c.noMore = func() { c.more.CloseWithError(io.ErrUnexpectedEOF) } // else they would be waited for without end
		},
		"old": func(_ *testing.T, c *coming, _ func(), j *install.Job) {
			_, _ = c.more.Write(body[len(body)/2:])
			c.more.Close()
			j.Early.Grow(time.Hour)
		},
		"clock set back": func(_ *testing.T, c *coming, _ func(), j *install.Job) {
			_, _ = c.more.Write(body[len(body)/2:])
			c.more.Close()
			j.Early.Grow(-time.Hour)
		},
		"another update": func(_ *testing.T, c *coming, _ func(), j *install.Job) {
			_, _ = c.more.Write(body[len(body)/2:])
			c.more.Close()
			j.Spec.Revision++
		},
	} {
		t.Run(name, func(t *testing.T) {
			i, j := installer(t, "file"), fileJob(t.TempDir(), "/file", body)
			c, stop, done := begun(t, i, &j, body)
			opened := 0
			j.Open = func() (io.ReadCloser, error) { opened++; return whole() }
			spoil(t, c, stop, &j)
			if _, err := i.Install(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			stop()
			<-done
			if got := read(t, filepath.Join(j.Root, "file")); got != string(body) {
				t.Errorf("%d bytes that differ", len(got))
			}
			if opened != 1 {
				t.Errorf("the install read the payload %d times", opened)
			}
			if left := filesBelow(t, j.Root); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A copy needs its room earlier than an install does, while the payload itself and others still grow: where that is short,
// or what others keep free would be taken, none is made, and the download keeps the disk.
func TestNothingIsCopiedEarlyWhereTheDiskIsShort(t *testing.T) {
	body := randomBody(1 << 20)
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	for name, c := range map[string]struct {
		free   int64
		claims func() (int64, error)
	}{
		"room for the copy alone": {17<<20 + 1<<19, nil},
		"what others keep free":   {5 << 30, func() (int64, error) { return 5<<30 - 16<<20, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			i, j := installer(t, "file"), fileJob(t.TempDir(), "/file", body)
			j.Early = &install.Early{Claims: c.claims}
			j.Free = func(string) (int64, error) { return c.free, nil }
			j.Open = open
			err := j.Early.Copy(t.Context(), i, j, func(context.Context) (io.ReadCloser, error) { return open() })
			var e *install.Error
			if !errors.As(err, &e) || e.Reason != install.ReasonDiskShort {
				t.Fatalf("%v, want %s", err, install.ReasonDiskShort)
			}
			if _, err := i.Install(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// unnamed says whether this process holds a file without a name below a folder.
func unnamed(t *testing.T, dir string) bool {
	t.Helper()
	all, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(fd string) bool {
		to, err := os.Readlink(fd)
		return err == nil && strings.HasPrefix(to, dir+"/") && strings.HasSuffix(to, " (deleted)")
	})
}

// An early copy is never the reason why something else does not fit: an install of another update that lacks room has it
// given up first, and finds its room free.
func TestEarlyCopyIsGivenUpForAnInstallThatLacksRoom(t *testing.T) {
	i, body := installer(t, "file"), randomBody(1<<20)
	j := fileJob(t.TempDir(), "/file", body)
	_, _, done := begun(t, i, &j, body)
	other := fileJob(j.Root, "/other", body)
	other.Early, other.Spec.Update = j.Early, "u2"
	other.Free = func(string) (int64, error) {
		if unnamed(t, j.Root) {
			return 1 << 20, nil
		}
		return 1 << 30, nil
	}
	if _, err := i.Install(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the copy ended with %v", err)
	}
}

// A copy that no install takes goes after a time: the bytes were hashed long ago, and its room is needed for nothing.
func TestEarlyCopyThatNobodyTakesGoesByItself(t *testing.T) {
	for name, body := range map[string]func() io.Reader{
		"whole":         func() io.Reader { return bytes.NewReader(make([]byte, 1<<20)) },
		"still to come": func() io.Reader { r, _ := io.Pipe(); return r },
	} {
		t.Run(name, func(t *testing.T) {
			i, j := installer(t, "file"), fileJob(t.TempDir(), "/file", make([]byte, 1<<20))
			synctest.Test(t, func(t *testing.T) {
				begun, early := time.Now(), install.Early{}
				err := early.Copy(t.Context(), i, j, func(ctx context.Context) (io.ReadCloser, error) {
					r := body()
					if p, ok := r.(*io.PipeReader); ok {
						context.AfterFunc(ctx, func() { p.CloseWithError(ctx.Err()) })
					}
					return io.NopCloser(r), nil
				})
				if d := time.Since(begun); d != time.Hour || unnamed(t, j.Root) {
					t.Errorf("it ended after %v with %v", d, err)
				}
			})
		})
	}
}

// A script runs from its copy in the work folder: that one is made early too.
func TestCopyForTheWorkFolderIsMadeEarlyToo(t *testing.T) {
	script := `: > "$PATCHMESH_ROOT/done"`
	j, body := scriptJob(t, script, nil), []byte("#!/bin/sh\n"+script)
	i := installer(t, "script")
	c, stop, done := begun(t, i, &j, body)
	_, _ = c.more.Write(body[len(body)/2:])
	c.more.Close()
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil || c.opened != 1 {
		t.Errorf("%v, opened %d times", err, c.opened)
	}
	if _, err := os.Stat(filepath.Join(j.Root, "done")); err != nil {
		t.Error(err)
	}
	if left := filesBelow(t, j.Work); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// An install that stops waiting for the early copy is over: it does not begin to copy gigabytes itself, for naught.
func TestInstallThatIsStoppedMakesNoCopyOfItsOwn(t *testing.T) {
	body := []byte("#!/bin/sh\n: > \"$PATCHMESH_ROOT/done\"")
	script := scriptJob(t, string(body[len("#!/bin/sh\n"):]), nil)
	for kind, j := range map[string]install.Job{"file": fileJob(t.TempDir(), "/file", body), "script": script} {
		t.Run(kind, func(t *testing.T) {
			i := installer(t, kind)
			_, _, _ = begun(t, i, &j, body)
			opened := false
			j.Open = func() (io.ReadCloser, error) { opened = true; return io.NopCloser(bytes.NewReader(body)), nil }
			ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer stop()
			_, err := i.Install(ctx, j)
			if e := new(install.Error); !errors.As(err, &e) || e.Reason != install.ReasonTimeout || opened {
				t.Errorf("%v, opened %v", err, opened)
			}
		})
	}
}
