package swarmtest

import (
	"strconv"

	"patchmesh/swarm"
)

// doStore tells the machine what its store holds.
func doStore(s *story, l *line) error {
	ev := swarm.StoreChecked{}
	if v := l.option("over"); v != "" {
		var err error
		if ev.OverBytes, err = strconv.ParseInt(v, 10, 64); err != nil {
			return err
		}
	}
	pinned := l.take("pinned")
	for len(l.words) > 0 {
		u := s.update(l.next())
		ev.Items = append(ev.Items, swarm.StoredItem{Payload: u.info.ID, Bytes: int64(u.onDisk.Count()) * int64(u.info.ChunkBytes), Pinned: pinned})
	}
	return s.step(ev)
}

// doDamage flips a bit of a chunk on disk, which the store has found.
func doDamage(s *story, l *line) error {
	of, i, err := s.chunk(l.next())
	if err != nil {
		return err
	}
	of.onDisk.Clear(i)
	of.published = false
	return s.step(swarm.ChunksLost{Payload: of.info.ID, Indexes: []int{i}})
}
