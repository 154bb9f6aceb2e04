package mem_test

import (
	"testing"

	"patchmesh/content"
	"patchmesh/content/mem"
	"patchmesh/content/storetest"
)

func TestMemStore(t *testing.T) {
	storetest.Run(t, storetest.Kind{
		Open:    func(*testing.T) content.Store { return mem.New(0) },
		Limited: func(_ *testing.T, freeBytes int64) content.Store { return mem.New(freeBytes) },
		Damage: func(t *testing.T, s content.Store, payload content.ID, index int) {
			if !s.(*mem.Store).Damage(payload, index) {
				t.Fatalf("chunk %d is not there to be damaged", index)
			}
		},
	})
}

func TestDroppedBytesCanBeUsedAgain(t *testing.T) {
	m, stored := storetest.Packed(t, storetest.Random(1, content.MinChunkBytes))
	s := mem.New(m.StoredBytes())
	for range 3 {
		storetest.Fill(t, s, m, stored)
		if err := s.Drop(m.ID()); err != nil {
			t.Fatal(err)
		}
	}
}
