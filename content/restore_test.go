package content

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// Whatever Pack stored can be made again of the plain bytes alone, so that a payload can come from its vendor.
func TestRestoreMakesTheStoredForm(t *testing.T) {
	plain := append(bytes.Repeat([]byte("all work and no play "), 40000), make([]byte, 600<<10)...)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(plain[len(plain)-(600<<10):])
	var stored bytes.Buffer
	m, err := Pack(bytes.NewReader(plain), int64(len(plain)), &stored)
	if err != nil {
		t.Fatal(err)
	}
	compressed := 0
	for i, c := range m.Chunks {
		from := m.PlainOffset(i)
		piece := plain[from : from+int64(c.PlainBytes)]
		got, err := m.Restore(i, piece)
		if err != nil || !bytes.Equal(got, stored.Bytes()[m.Offset(i):m.Offset(i+1)]) {
			t.Fatalf("chunk %d: %v", i, err)
		}
		if c.Compressed() {
			compressed++
		}
		var corrupt *CorruptError
		bad := bytes.Clone(piece)
		bad[0] ^= 1
		for _, b := range [][]byte{bad, piece[1:], nil, append(bytes.Clone(piece), 0)} {
			if _, err := m.Restore(i, b); !errors.As(err, &corrupt) {
				t.Errorf("chunk %d of %d wrong bytes: %v", i, len(b), err)
			}
		}
	}
	if compressed == 0 || compressed == len(m.Chunks) {
		t.Errorf("%d of %d chunks are compressed: the test wants both kinds", compressed, len(m.Chunks))
	}
	if _, err := m.Restore(len(m.Chunks), nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("a chunk too far: %v", err)
	}
}

// A map that was packed by another encoder promises another size: right bytes, and no way to store them.
func TestRestoreKnowsAnotherEncoder(t *testing.T) {
	plain := bytes.Repeat([]byte("patch "), 50000)
	m, err := Pack(bytes.NewReader(plain), int64(len(plain)), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	m.Chunks[0].StoredBytes++
	if _, err := m.Restore(0, plain[:m.Chunks[0].PlainBytes]); !errors.Is(err, ErrEncoder) {
		t.Errorf("%v", err)
	}
}
