package disk

import (
	"errors"
	"slices"

	"patchmesh/content"
)

// Reuse takes chunks of a payload that has begun from the other payloads of the store: a new version of a file is often the
// old one with a part changed, and what stayed in its place is cut into the same chunks. Each is read as for a peer and
// verified as if it came from one, so nothing is believed of the other payload but where to look. It says how many chunks
// came so, and their bytes as stored. What is damaged there stays missing here; an error ends it, and what came before stays.
func (s *Store) Reuse(id content.ID) (chunks int, bytes int64, err error) {
	p, err := s.find(id)
	if err != nil {
		return 0, 0, err
	}
	s.reusing.Lock() // one at a time: more would only take more memory, and keep the disk from reading on
	defer s.reusing.Unlock()
	wanted := p.missingByID()
	r := &reuse{p: p, wanted: wanted, done: content.NewBits(len(wanted))}
	for _, from := range s.all() {
		if from == p || from.m.ChunkBytes != p.m.ChunkBytes {
			continue // files of other sizes are cut at other places
		}
		if err := r.take(from); err != nil {
			return r.chunks, r.bytes, err
		}
	}
	return r.chunks, r.bytes, nil
}

// reuse is one payload that takes chunks from others.
type reuse struct {
	p      *payload
	wanted []int32       // numbers of its missing chunks, by the ID of the chunk
	done   *content.Bits // of wanted, where an ID begins of which no place is left to be filled
	buf    []byte        // of one chunk as stored

	stored, plain []byte // the chunk that is being taken, once it was read and unpacked

	chunks int
	bytes  int64
}

// missingByID are the numbers of the missing chunks in the order of their IDs: four bytes each, where a map of IDs would
// take a hundred, and there may be a million.
func (p *payload) missingByID() []int32 {
	have := p.bits()
	out := make([]int32, 0, have.Len()-have.Count())
	for i := have.NextMissing(0); i >= 0; i = have.NextMissing(i + 1) {
		out = append(out, int32(i))
	}
	slices.SortStableFunc(out, func(a, b int32) int { return p.m.Chunks[a].ID.Compare(p.m.Chunks[b].ID) })
	return out
}

// take takes what one payload has.
func (r *reuse) take(from *payload) error {
	have := from.bits()
	for i := range from.m.Len() {
		if !have.Has(i) {
			continue
		}
		if err := r.takeChunk(from, i); err != nil {
			return err
		}
	}
	return nil
}

// takeChunk puts chunk i of another payload wherever this one lacks it. All places of one chunk are filled at once, so a
// disk image full of zeros costs no more than any other payload. A place that wants the bytes compressed to another length
// than they have there is left alone.
func (r *reuse) takeChunk(from *payload, i int) error {
	c := from.m.Chunks[i]
	begin, found := slices.BinarySearchFunc(r.wanted, c.ID, func(k int32, id content.ID) int { return r.p.m.Chunks[k].ID.Compare(id) })
	if !found || r.done.Has(begin) {
		return nil
	}
	r.stored, r.plain = nil, nil
	all := true
	for at := begin; at < len(r.wanted) && r.p.m.Chunks[r.wanted[at]].ID == c.ID; at++ {
		k := int(r.wanted[at])
		to := r.p.m.Chunks[k]
		if to.Compressed() && to.StoredBytes != c.StoredBytes {
			all = false
			continue
		}
		if r.p.has(k) {
			continue
		}
		form, err := r.read(from, i, to.Compressed())
		if err != nil {
			return nil // damaged, or gone meanwhile: it is as if it had not been there
		}
		if err := r.put(k, form); err != nil {
			return err
		}
	}
	if all {
		r.done.Set(begin)
	}
	return nil
}

// read gives a chunk of another payload as it is stored there or, where it is wanted plain, unpacked: each once for all places.
func (r *reuse) read(from *payload, i int, compressed bool) (form []byte, err error) {
	if r.buf == nil {
		r.buf = make([]byte, r.p.m.ChunkBytes)
	}
	if r.stored == nil {
		n, err := from.serve(i, r.buf)
		if err != nil {
			return nil, err
		}
		r.stored = r.buf[:n]
	}
	if compressed || !from.m.Chunks[i].Compressed() {
		return r.stored, nil
	}
	if r.plain == nil {
		r.plain, err = from.m.OpenChunk(i, r.stored, nil)
	}
	return r.plain, err
}

// put counts what was new. Another frame of the same length that does not give the same bytes is refused, and left out.
func (r *reuse) put(k int, form []byte) error {
	s := r.p.store
	if s.ending.Load() {
		return content.ErrClosed
	}
	var corrupt *content.CorruptError
	fresh, err := s.Put(r.p.id, k, form)
	if err != nil && !errors.As(err, &corrupt) {
		return err
	}
	if fresh {
		r.chunks++
		r.bytes += int64(len(form))
	}
	return nil
}
