package node

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/media"
)

// This file decides what an export writes: what is wanted, less what the site has and what the medium
// holds already, cut into volumes.

// plan asks the node what there is and what is wanted.
func (e *export) plan(ctx context.Context) (err error) {
	if e.cargo, err = e.c.Cargo(ctx, api.CargoQuery{Site: e.r.Site, Group: e.r.Group}); err != nil {
		return err
	}
	if e.docs, err = e.c.TrustDocs(ctx); err != nil {
		return err
	}
	if e.trust, err = openDocs(e.docs, e.r.Now); err != nil {
		return tufTrouble(err)
	}
	var have *haveList
	if e.r.Have != nil {
		if have, err = openHave(e.r.Have); err != nil {
			return api.Errorf(api.ClassRefused, "the have-list: %v", err).WithHint("take the one that 'patchmesh bundle import' told of, or leave --have away: then everything is written")
		}
	}
	for _, p := range e.cargo.Payloads {
		l := &load{p: p, onDisc: content.NewBits(p.Chunks), there: content.NewBits(p.Chunks)}
		if l.have, err = content.BitsFromBytes(p.Chunks, p.Have); err != nil {
			return err
		}
		if l.m, err = e.payloadMap(ctx, p.ID); err != nil {
			return err
		}
		if have != nil {
			l.there = have.bits(p.ID, p.Chunks)
		}
		e.loads = append(e.loads, l)
		e.out.Updates = append(e.out.Updates, p.Update)
	}
	e.out.Machines, e.out.Epoch, e.out.Head, e.out.ExpiresAt = e.cargo.Machines, e.trust.Epoch(), e.trust.HeadVersion(), e.trust.ExpiresAt().UTC()
	e.out.Documents, e.out.Payloads = len(e.cargo.Docs), len(e.loads)
	return nil
}

func (e *export) payloadMap(ctx context.Context, id content.ID) (*content.PayloadMap, error) {
	d, err := e.c.GiveDocs(ctx, api.DocQuery{IDs: []content.ID{id}})
	if err != nil {
		return nil, err
	}
	if len(d.Docs) != 1 || content.Sum(d.Docs[0]) != id {
		return nil, api.Errorf(api.ClassFailed, "the node did not give the payload map %s", id.Short())
	}
	return content.DecodeMap(d.Docs[0])
}

// look reads what the medium holds already. What is damaged there is written anew.
func (e *export) look() error {
	old, err := e.f.Index()
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, content.ErrFormat):
		return nil
	case err != nil:
		return err
	}
	e.old = old
	byID := map[content.ID]*load{}
	for _, l := range e.loads {
		byID[l.p.ID] = l
	}
	for _, v := range old.Volumes {
		found, err := e.scan(v, byID)
		if err != nil || len(found) == 0 || e.r.Lean && delivered(found, byID) {
			e.drop = append(e.drop, v)
			continue
		}
		for _, c := range found {
			l := byID[c.payload]
			if l.onDisc.Set(c.index) && !l.there.Has(c.index) {
				e.out.Kept += int64(l.m.Chunks[c.index].StoredBytes)
			}
		}
		e.keep(v)
	}
	return nil
}

// delivered: the site has every chunk of it.
func delivered(found []place, byID map[content.ID]*load) bool {
	return !slices.ContainsFunc(found, func(c place) bool { return !byID[c.payload].there.Has(c.index) })
}

func (e *export) keep(v bundle.File) {
	if e.x == nil {
		e.x = &bundle.Index{}
	}
	e.x.Volumes = append(e.x.Volumes, v)
}

// place is one chunk of a volume.
type place struct {
	payload content.ID
	index   int
}

// scan reads a volume of the medium and hashes all of it: it counts only if it is whole.
func (e *export) scan(v bundle.File, byID map[content.ID]*load) ([]place, error) {
	file, size, err := e.f.OpenFile(media.Volume(v.Number))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size != v.SizeBytes {
		return nil, content.ErrDamaged
	}
	var found []place
	blocks, err := walkVolume(file, true, func(r bundle.Run, index int, id content.ID, _ int, _ func([]byte) ([]byte, error)) error {
		l := byID[r.Payload]
		if l != nil && index < l.m.Len() && (l.m.Chunks[index].Compressed() || l.m.Chunks[index].ID == id) {
			found = append(found, place{r.Payload, index})
		}
		return nil
	})
	if err == nil && blocks != v.Blocks {
		err = content.ErrDamaged
	}
	return found, err
}

// segment is the chunks of one payload in one volume.
type segment struct {
	l    *load
	bits *content.Bits
}

// divide cuts what is to be written into volumes: their roots must be known before they begin.
func (e *export) divide() (parts [][]segment) {
	var part []segment
	size := bundle.HeaderBytes(0)
	for _, l := range e.loads {
		l.todo = content.NewBits(l.p.Chunks)
		var s *content.Bits
		for i := range l.p.Chunks {
			if l.there.Has(i) {
				e.out.There += int64(l.m.Chunks[i].StoredBytes)
				continue
			}
			if !l.have.Has(i) || l.onDisc.Has(i) {
				continue
			}
			l.todo.Set(i)
			n := bundle.BlockBytes(int(l.m.Chunks[i].StoredBytes))
			extra := int64(0)
			if s == nil {
				extra = e.segmentBytes(l)
			}
			if size+extra+n > e.r.VolumeBytes && len(part) > 0 {
				parts, part, size = append(parts, part), nil, bundle.HeaderBytes(0)
				s, extra = nil, e.segmentBytes(l)
			}
			if s == nil {
				s = content.NewBits(l.p.Chunks)
				part = append(part, segment{l, s})
			}
			s.Set(i)
			size += extra + n
			e.out.NeedBytes += extra + n
		}
		e.fixes(l)
	}
	if len(part) > 0 {
		parts = append(parts, part)
	}
	return parts
}

// fixes notes what a payload is for.
func (e *export) fixes(l *load) {
	if l.p.Waiting == 0 {
		return
	}
	f := Fix{Update: l.p.Update, Machines: l.p.Waiting}
	for i := range l.p.Chunks {
		if !l.there.Has(i) {
			f.Bytes += int64(l.m.Chunks[i].StoredBytes)
		}
	}
	e.out.Fixes = append(e.out.Fixes, f)
}

// segmentBytes is what a payload takes in a volume beside its chunks: root, map, run.
func (e *export) segmentBytes(l *load) int64 {
	run := bundle.Run{Payload: l.p.ID, Bits: content.NewBits(l.p.Chunks)}
	return bundle.HeaderBytes(1) + bundle.BlockBytes(len(l.m.Encode())) + bundle.BlockBytes(len(run.Encode()))
}
