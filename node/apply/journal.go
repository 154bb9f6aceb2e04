package apply

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"patchmesh/content/durable"
)

// FileJournal is the journal of the separate process: one line of JSON per step, synced before the
// step is taken.
type FileJournal struct {
	mu   sync.Mutex
	file *os.File
	path string
	size int64
	torn bool // the last write failed half-way

	ended map[work]Entry // how the last work on a revision ended
}

// work is a revision of an update.
type work struct {
	update   string
	revision int
}

// failedStep begins the last step of work that failed.
const failedStep = "failed: "

// maxEnded bounds what is remembered; beyond it the oldest is forgotten.
const maxEnded = 5000

// Entry is one line of the journal.
type Entry struct {
	At       time.Time `json:"at"`
	Update   string    `json:"update"`
	Revision int       `json:"revision"`
	Step     string    `json:"step"`
	Open     bool      `json:"open"` // began and has not ended
}

// A journal begins anew at maxJournal bytes; the last one is kept beside it.
const (
	keptSuffix = ".1"

	maxJournal = 1 << 20
	maxStep    = 2 << 10
)

// OpenJournal opens or makes the journal and lists what began and did not end: a crash cut it off.
func OpenJournal(path string) (*FileJournal, []Entry, error) {
	entries, err := readJournal(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	j := &FileJournal{file: f, path: path, size: fi.Size(), ended: map[work]Entry{}}
	before, err := readJournal(path + keptSuffix)
	if err != nil {
		before = nil // it is for people alone, and what it would tell of failures is found out again
	}
	for _, e := range slices.Concat(before, entries) {
		j.remember(e)
	}
	if j.size > 0 { // a torn last line must not swallow the next one
		if err := j.append([]byte("\n")); err != nil {
			_ = f.Close()
			return nil, nil, err
		}
	}
	return j, interrupted(entries), nil
}

// readJournal reads whole lines; what a crash tore is skipped.
func readJournal(path string) ([]Entry, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var out []Entry
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			out = append(out, e)
		}
	}
	return out, nil
}

func interrupted(entries []Entry) []Entry {
	var open []Entry
	for _, e := range entries {
		for i, o := range open {
			if o.Update == e.Update && o.Revision == e.Revision {
				open = append(open[:i], open[i+1:]...)
				break
			}
		}
		if e.Open {
			open = append(open, e)
		}
	}
	return open
}

// remember keeps how work ended; what began anew has not.
func (j *FileJournal) remember(e Entry) {
	k := work{e.Update, e.Revision}
	if e.Open {
		delete(j.ended, k)
		return
	}
	j.ended[k] = e
	if len(j.ended) > maxEnded {
		oldest := k
		for x, o := range j.ended {
			if o.At.Before(j.ended[oldest].At) {
				oldest = x
			}
		}
		delete(j.ended, oldest)
	}
}

// JournalFailed says whether the last work on a revision failed, and when.
func (j *FileJournal) JournalFailed(update string, revision int) (time.Time, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, is := j.ended[work{update, revision}]
	return e.At, is && strings.HasPrefix(e.Step, failedStep), nil
}

// JournalBegin implements Journal.
func (j *FileJournal) JournalBegin(update string, revision int, step string, at time.Time) error {
	return j.write(Entry{At: at.UTC(), Update: update, Revision: revision, Step: step, Open: true})
}

// JournalStep implements Journal.
func (j *FileJournal) JournalStep(update string, revision int, step string, at time.Time) error {
	b, err := json.Marshal(Entry{At: at.UTC(), Update: update, Revision: revision, Step: step[:min(len(step), maxStep)], Open: true})
	if err != nil {
		return fmt.Errorf("journal %s: %w", update, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(append(b, '\n')) // never into a new file: what is open would be missing there
}

// JournalEnd implements Journal.
func (j *FileJournal) JournalEnd(update string, revision int, step string, at time.Time) error {
	return j.write(Entry{At: at.UTC(), Update: update, Revision: revision, Step: step[:min(len(step), maxStep)]})
}

func (j *FileJournal) write(e Entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("journal %s: %w", e.Update, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size > maxJournal && e.Open { // nothing is open now: one change at a time
		if err := j.turn(); err != nil {
			return err
		}
	}
	if err := j.append(append(b, '\n')); err != nil {
		return err
	}
	j.remember(e)
	return nil
}

func (j *FileJournal) append(b []byte) error {
	if j.torn { // half a line is there: it must not swallow this one
		b = append([]byte("\n"), b...)
	}
	n, err := j.file.Write(b)
	j.size += int64(n)
	if err == nil {
		err = j.file.Sync()
	}
	if j.torn = err != nil; j.torn {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// turn begins a new file and keeps the old one under another name.
func (j *FileJournal) turn() error {
	if err := os.Rename(j.path, j.path+keptSuffix); err != nil {
		return fmt.Errorf("turn journal: %w", err)
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("turn journal: %w", err)
	}
	_ = j.file.Close()
	j.file, j.size = f, 0
	return durable.Folder(filepath.Dir(j.path))
}

// Close closes the file; everything in it was synced.
func (j *FileJournal) Close() error { return j.file.Close() }
