package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gofrs/flock"

	"patchmesh/content"
)

// Store keeps payloads in a folder. It implements content.Store.
type Store struct {
	dir   string
	opt   Options
	sys   system
	lock  *flock.Flock
	files *handles

	// steps serialises what adds and removes payloads: Begin, Drop, the end of Import, Close.
	steps sync.Mutex

	limits   atomic.Pointer[Limits]
	spending spending
	ending   atomic.Bool // see Interrupt
	reusing  sync.Mutex  // held for a whole Reuse, before any other lock

	mu       sync.Mutex // owns the fields below; never held while files are touched
	payloads map[content.ID]*payload
	unmapped map[content.ID]int64 // bytes held
	closed   bool
}

var _ content.Store = (*Store)(nil)

// Open takes the folder, making it with mode 0700 if need be. content.ErrLocked if another process has
// it; ErrUnsafe if it, or a file of the store in it, is a link or no regular file.
func Open(dir string, opt Options) (*Store, error) { return openWith(dir, opt, realSystem()) }

func openWith(dir string, opt Options, sys system) (*Store, error) {
	opt.fill()
	if err := takeFolder(dir); err != nil {
		return nil, err
	}
	s := &Store{
		dir: dir, opt: opt, sys: sys, files: newHandles(opt.OpenFiles),
		payloads: map[content.ID]*payload{}, unmapped: map[content.ID]int64{}, lock: flock.New(filepath.Join(dir, lockName)),
	}
	s.Limit(opt.limits())
	got, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock payload folder: %w", err)
	}
	if !got {
		return nil, fmt.Errorf("payload folder %s: %w", dir, content.ErrLocked)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.letGo())
	}
	return s, nil
}

// takeFolder makes the folder and refuses one that leads elsewhere.
func takeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return mapSpace(fmt.Errorf("make payload folder: %w", err))
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at payload folder: %w", err)
	}
	if !fi.IsDir() {
		return fmt.Errorf("payload folder %s: %w", dir, ErrUnsafe)
	}
	if err := makePrivate(dir, fi.Mode()); err != nil {
		return fmt.Errorf("make payload folder private: %w", err)
	}
	if fi, err := os.Lstat(filepath.Join(dir, lockName)); err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("lock of payload folder %s: %w", dir, ErrUnsafe)
	}
	return nil
}

// letGo closes all files and gives the folder back.
func (s *Store) letGo() error {
	var errs []error
	for _, p := range s.all() {
		errs = append(errs, p.end())
	}
	return errors.Join(append(errs, s.lock.Unlock())...)
}

// find looks a payload up.
func (s *Store) find(id content.ID) (*payload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, content.ErrClosed
	}
	p := s.payloads[id]
	if p == nil {
		return nil, fmt.Errorf("payload %s: %w", id.Short(), content.ErrNotFound)
	}
	return p, nil
}

// all is every payload, ordered by ID.
func (s *Store) all() []*payload {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*payload, 0, len(s.payloads))
	for _, p := range s.payloads {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *payload) int { return a.id.Compare(b.id) })
	return all
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Put implements content.Store. Have-bits that are due are saved before it returns. If the data cannot
// be synced then, the chunks since the last save count as missing again and the error is ErrDamaged.
func (s *Store) Put(id content.ID, index int, stored []byte) (bool, error) {
	p, err := s.find(id)
	if err != nil {
		return false, err
	}
	fresh, err := s.tryPut(p, index, stored)
	if s.again(err) {
		return s.tryPut(p, index, stored)
	}
	return fresh, err
}

func (s *Store) tryPut(p *payload, index int, stored []byte) (bool, error) {
	if err := s.spend(len(stored)); err != nil {
		return false, err
	}
	return p.put(index, stored)
}

// ReadChunk implements content.Store. Bytes that are no longer what was stored are found: ErrDamaged puts
// the chunk aside.
func (s *Store) ReadChunk(id content.ID, index int, buf []byte) (int, error) {
	p, err := s.find(id)
	if err != nil {
		return 0, err
	}
	return p.serve(index, buf)
}

// Have implements content.Store.
func (s *Store) Have(id content.ID) (*content.Bits, error) {
	p, err := s.find(id)
	if err != nil {
		return nil, err
	}
	return p.bits(), nil
}

// Map implements content.Store.
func (s *Store) Map(id content.ID) (*content.PayloadMap, error) {
	p, err := s.find(id)
	if err != nil {
		return nil, err
	}
	return p.m, nil
}

// Publish implements content.Store.
func (s *Store) Publish(id content.ID) error {
	p, err := s.find(id)
	if err != nil {
		return err
	}
	return p.publish()
}

// Published implements content.Store.
func (s *Store) Published(id content.ID) bool {
	p, err := s.find(id)
	return err == nil && p.isPublished()
}

// OpenPlain implements content.Store.
func (s *Store) OpenPlain(id content.ID) (io.ReadCloser, error) {
	p, err := s.findPublished(id)
	if err != nil {
		return nil, err
	}
	return content.NewPlainReader(p.m, p.read, p.demote), nil
}

func (s *Store) findPublished(id content.ID) (*payload, error) {
	p, err := s.find(id)
	if err == nil && !p.isPublished() {
		err = fmt.Errorf("payload %s: %w", id.Short(), content.ErrIncomplete)
	}
	return p, err
}

// List implements content.Store.
func (s *Store) List() ([]content.Info, error) {
	if s.isClosed() {
		return nil, content.ErrClosed
	}
	var infos []content.Info
	for _, p := range s.all() {
		infos = append(infos, content.Info{
			ID: p.id, PlainBytes: p.m.PlainBytes, StoredBytes: p.m.StoredBytes(), Chunks: p.m.Len(),
			HaveChunks: p.bits().Count(), Published: p.isPublished(),
		})
	}
	return infos, nil
}

// Sync implements content.Store.
func (s *Store) Sync() error {
	if s.isClosed() {
		return content.ErrClosed
	}
	var errs []error
	for _, p := range s.all() {
		errs = append(errs, p.saveNow())
	}
	return errors.Join(errs...)
}

// Close implements content.Store.
func (s *Store) Close() error {
	s.steps.Lock()
	defer s.steps.Unlock()
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		return nil
	}
	return s.letGo()
}
