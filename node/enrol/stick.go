package enrol

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"patchmesh/content"
)

// StickFolder is the folder on a stick. It is flat:
//
//	pm-enrol/<content ID of the request>.req   a sealed request
//	pm-enrol/<the same>.ans                    the sealed answer to it
const StickFolder = "pm-enrol"

const (
	requestSuffix   = ".req"
	answerSuffix    = ".ans"
	maxStickEntries = 4096 // looked at
	maxStickFiles   = 1024 // requests read
)

// Stick is a folder that carries requests and answers between machines that do not see each other. It is
// hostile: whoever had it in his hands may have put anything there. Only regular files are opened, never
// through a link, only by names that a content ID makes, and no more of them than the limits say.
type Stick struct{ root *os.Root }

// OpenStick opens the folder below dir. With make it is made if need be; without it, a stick that holds
// none is fs.ErrNotExist.
func OpenStick(dir string, make bool) (*Stick, error) {
	top, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	defer top.Close()
	if make {
		if err := top.Mkdir(StickFolder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make %s in %s: %w", StickFolder, dir, err)
		}
	}
	fi, err := top.Lstat(StickFolder)
	if err == nil && !fi.IsDir() { // a link, too
		err = ErrFormat
	}
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", StickFolder, dir, err)
	}
	root, err := top.OpenRoot(StickFolder)
	if err != nil {
		return nil, fmt.Errorf("open %s in %s: %w", StickFolder, dir, err)
	}
	if now, err := root.Stat("."); err != nil || !os.SameFile(fi, now) { // swapped for a link meanwhile
		_ = root.Close()
		return nil, fmt.Errorf("%s in %s: %w", StickFolder, dir, ErrFormat)
	}
	return &Stick{root: root}, nil
}

// Close ends the use of the folder.
func (s *Stick) Close() error { return s.root.Close() }

// PutRequest writes a request and gives its ID. Durable when it returns: the stick is pulled out next.
func (s *Stick) PutRequest(request []byte) (content.ID, error) {
	id := content.Sum(request)
	return id, s.write(id, requestSuffix, request)
}

// PutAnswer writes the answer to a request, in place of an older one. Durable when it returns.
func (s *Stick) PutAnswer(request content.ID, answer []byte) error {
	return s.write(request, answerSuffix, answer)
}

// Answer reads the answer to a request; fs.ErrNotExist if there is none yet.
func (s *Stick) Answer(request content.ID) ([]byte, error) {
	return s.read(request, answerSuffix, MaxAnswerBytes)
}

// Drop removes a request and its answer: they are of no use any more.
func (s *Stick) Drop(request content.ID) error {
	var errs []error
	for _, suffix := range []string{requestSuffix, answerSuffix} {
		if err := s.root.Remove(request.String() + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Requests reads the requests on the stick, in the order of their IDs. skipped counts what is there but
// is none: other names, links, damaged or oversized files, and all beyond the limits.
func (s *Stick) Requests() (requests [][]byte, skipped int, err error) {
	d, err := s.root.Open(".")
	if err != nil {
		return nil, 0, fmt.Errorf("list %s: %w", StickFolder, err)
	}
	defer d.Close()
	entries, err := d.ReadDir(maxStickEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("list %s: %w", StickFolder, err)
	}
	if len(entries) > maxStickEntries {
		entries, skipped = entries[:maxStickEntries], 1
	}
	var ids []content.ID
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), answerSuffix) {
			continue
		}
		// The name is compared, never used: what is opened is named by the parsed ID.
		text, ok := strings.CutSuffix(e.Name(), requestSuffix)
		id, err := content.ParseID(text)
		if !ok || err != nil || len(ids) == maxStickFiles {
			skipped++
			continue
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, content.ID.Compare)
	for _, id := range ids {
		b, err := s.read(id, requestSuffix, MaxRequestBytes)
		if err != nil || content.Sum(b) != id {
			skipped++
			continue
		}
		requests = append(requests, b)
	}
	return requests, skipped, nil
}

func (s *Stick) read(id content.ID, suffix string, most int) ([]byte, error) {
	name := id.String() + suffix
	before, err := s.root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if !before.Mode().IsRegular() || before.Size() > int64(most) {
		return nil, fmt.Errorf("%s is %s of %d bytes: %w", name, before.Mode().Type(), before.Size(), ErrFormat)
	}
	f, err := s.root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close()
	// What was looked at must be what is open: the stick may be changed meanwhile by who holds it.
	if now, err := f.Stat(); err != nil || !now.Mode().IsRegular() || !os.SameFile(before, now) {
		return nil, fmt.Errorf("%s was swapped: %w", name, errors.Join(ErrFormat, err))
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(b) > most {
		return nil, fmt.Errorf("%s has more than %d bytes: %w", name, most, ErrFormat)
	}
	return b, nil
}

// write makes a file that is complete and durable when it has its name.
func (s *Stick) write(id content.ID, suffix string, body []byte) error {
	name, temp := id.String()+suffix, id.String()+".tmp"
	// Whatever has the temporary name, a link to elsewhere perhaps, goes first, and the file is made new.
	if err := s.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|openFlags, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.root.Rename(temp, name)
	}
	if err == nil {
		err = s.sync()
	}
	if err != nil {
		_ = s.root.Remove(temp)
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (s *Stick) sync() error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := s.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
