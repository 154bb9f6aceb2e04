package mem

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"patchmesh/content"
)

// Store keeps payloads in memory. It implements content.Store.
type Store struct {
	limitBytes int64

	mu        sync.RWMutex // owns the fields below
	payloads  map[content.ID]*payload
	usedBytes int64
	closed    bool
}

type payload struct {
	m         *content.PayloadMap
	have      *content.Bits
	stored    [][]byte // by chunk; nil if not had
	published bool
}

var _ content.Store = (*Store)(nil)

// New makes a store that takes at most limitBytes of chunks; zero: as many as memory holds.
func New(limitBytes int64) *Store {
	return &Store{limitBytes: limitBytes, payloads: map[content.ID]*payload{}}
}

// find is called with mu held.
func (s *Store) find(id content.ID) (*payload, error) {
	if s.closed {
		return nil, content.ErrClosed
	}
	p := s.payloads[id]
	if p == nil {
		return nil, fmt.Errorf("payload %s: %w", id.Short(), content.ErrNotFound)
	}
	return p, nil
}

// room is called with mu held.
func (s *Store) room(needBytes int64) error {
	if free := s.limitBytes - s.usedBytes; s.limitBytes > 0 && free < needBytes {
		return &content.NoSpaceError{NeedBytes: needBytes, FreeBytes: max(free, 0)}
	}
	return nil
}

// Begin implements content.Store.
func (s *Store) Begin(m *content.PayloadMap) (*content.Bits, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(m.ID())
	if errors.Is(err, content.ErrClosed) {
		return nil, err
	}
	if err != nil {
		p = &payload{m: m, have: content.NewBits(m.Len()), stored: make([][]byte, m.Len())}
	}
	var need int64
	for i := p.have.NextMissing(0); i >= 0; i = p.have.NextMissing(i + 1) {
		need += int64(m.Chunks[i].StoredBytes)
	}
	if err := s.room(need); err != nil {
		return nil, err
	}
	s.payloads[m.ID()] = p
	return p.have.Clone(), nil
}

// Put implements content.Store.
func (s *Store) Put(id content.ID, index int, stored []byte) (bool, error) {
	m, err := s.Map(id)
	if err != nil {
		return false, err
	}
	if err := m.CheckChunk(index, stored); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(id)
	if err != nil || p.have.Has(index) {
		return false, err
	}
	if err := s.room(int64(len(stored))); err != nil {
		return false, err
	}
	p.keep(s, index, bytes.Clone(stored))
	return true, nil
}

// keep is called with mu held.
func (p *payload) keep(s *Store, index int, stored []byte) {
	p.stored[index] = stored
	p.have.Set(index)
	s.usedBytes += int64(len(stored))
}

// lose is called with mu held.
func (p *payload) lose(s *Store, index int) {
	s.usedBytes -= int64(len(p.stored[index]))
	p.stored[index] = nil
	p.have.Clear(index)
	p.published = false
}

// ReadChunk implements content.Store.
func (s *Store) ReadChunk(id content.ID, index int, buf []byte) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, err := s.find(id)
	if err != nil {
		return 0, err
	}
	if !p.have.Has(index) {
		return 0, fmt.Errorf("payload %s chunk %d: %w", id.Short(), index, content.ErrNotFound)
	}
	if len(buf) < len(p.stored[index]) {
		return 0, fmt.Errorf("chunk %d of %d bytes: %w", index, len(p.stored[index]), io.ErrShortBuffer)
	}
	return copy(buf, p.stored[index]), nil
}

// Have implements content.Store.
func (s *Store) Have(id content.ID) (*content.Bits, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, err := s.find(id)
	if err != nil {
		return nil, err
	}
	return p.have.Clone(), nil
}

// Map implements content.Store.
func (s *Store) Map(id content.ID) (*content.PayloadMap, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, err := s.find(id)
	if err != nil {
		return nil, err
	}
	return p.m, nil
}

// Publish implements content.Store.
func (s *Store) Publish(id content.ID) error {
	have, err := s.Have(id)
	switch {
	case err != nil:
		return err
	case s.Published(id):
		return nil
	case !have.Full():
		return fmt.Errorf("payload %s: %d of %d chunks: %w", id.Short(), have.Count(), have.Len(), content.ErrIncomplete)
	}
	m, err := s.Map(id)
	if err != nil {
		return err
	}
	bad, err := content.Verify(m, s.reader(id))
	if err != nil {
		return err
	}
	if err := s.disown(id, bad); err != nil || len(bad) == 0 {
		return err
	}
	return fmt.Errorf("payload %s: %d chunks: %w", id.Short(), len(bad), content.ErrDamaged)
}

// disown forgets chunks that do not match; a payload that has all of its chunks is published.
func (s *Store) disown(id content.ID, bad []int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(id)
	if err != nil {
		return err
	}
	for _, i := range bad {
		p.lose(s, i)
	}
	p.published = p.have.Full()
	return nil
}

func (s *Store) reader(id content.ID) content.ChunkReader {
	return func(index int, buf []byte) (int, error) { return s.ReadChunk(id, index, buf) }
}

// Published implements content.Store.
func (s *Store) Published(id content.ID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, err := s.find(id)
	return err == nil && p.published
}

// OpenPlain implements content.Store.
func (s *Store) OpenPlain(id content.ID) (io.ReadCloser, error) {
	m, err := s.Map(id)
	if err != nil {
		return nil, err
	}
	if !s.Published(id) {
		return nil, fmt.Errorf("payload %s: %w", id.Short(), content.ErrIncomplete)
	}
	return content.NewPlainReader(m, s.reader(id), func(i int) error { return s.disown(id, []int{i}) }), nil
}

// Import implements content.Store.
func (s *Store) Import(r io.Reader, sizeBytes int64) (*content.PayloadMap, error) {
	if _, err := s.List(); err != nil {
		return nil, err
	}
	var all bytes.Buffer
	m, err := content.Pack(r, sizeBytes, &all)
	if err != nil {
		return nil, fmt.Errorf("import payload: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, content.ErrClosed
	}
	if err := s.room(m.StoredBytes() - s.bytesOf(m.ID())); err != nil {
		return nil, err
	}
	s.drop(m.ID())
	p := &payload{m: m, have: content.NewBits(m.Len()), stored: make([][]byte, m.Len()), published: true}
	for i := range m.Len() {
		p.keep(s, i, all.Bytes()[m.Offset(i):m.Offset(i+1):m.Offset(i+1)])
	}
	s.payloads[m.ID()] = p
	return m, nil
}

// Drop implements content.Store.
func (s *Store) Drop(id content.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return content.ErrClosed
	}
	s.drop(id)
	return nil
}

// drop is called with mu held.
func (s *Store) drop(id content.ID) {
	s.usedBytes -= s.bytesOf(id)
	delete(s.payloads, id)
}

// bytesOf is what a payload takes; nothing if it is unknown. Called with mu held.
func (s *Store) bytesOf(id content.ID) int64 {
	var sum int64
	if p := s.payloads[id]; p != nil {
		for _, b := range p.stored {
			sum += int64(len(b))
		}
	}
	return sum
}

// List implements content.Store.
func (s *Store) List() ([]content.Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, content.ErrClosed
	}
	var infos []content.Info
	for id, p := range s.payloads {
		infos = append(infos, content.Info{
			ID: id, PlainBytes: p.m.PlainBytes, StoredBytes: p.m.StoredBytes(), Chunks: p.m.Len(),
			HaveChunks: p.have.Count(), Published: p.published,
		})
	}
	slices.SortFunc(infos, func(a, b content.Info) int { return a.ID.Compare(b.ID) })
	return infos, nil
}

// Sync implements content.Store. Memory is as durable as it gets.
func (s *Store) Sync() error {
	_, err := s.List()
	return err
}

// Close implements content.Store and forgets everything.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.payloads, s.usedBytes = true, nil, 0
	return nil
}

// Damage flips a bit of a chunk that is had, as a failing disk would. It says whether there was one.
func (s *Store) Damage(id content.ID, index int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(id)
	if err != nil || !p.have.Has(index) {
		return false
	}
	b := bytes.Clone(p.stored[index]) // readers may hold no part of it, imports share one array
	b[len(b)/2] ^= 1
	p.stored[index] = b
	return true
}
