package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"patchmesh/content"
)

// mostExtra is what may be read beyond what a frame is allowed to be: what the reader had in its buffer.
const mostExtra = 64 << 10

// S-ENDLESS: every frame that names a length, with lengths beyond its limit and a sender that never ends. It
// is refused from the length alone: not one byte of what was announced is waited for.
func TestEndlessDataIsRefusedFromItsLength(t *testing.T) {
	cases := 0
	refused := func(what string, head []byte, read func(r *bufio.Reader) error) {
		t.Helper()
		cases++
		src := &endless{head: head}
		err := read(bufio.NewReaderSize(src, mostExtra))
		if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
		if src.read > mostExtra {
			t.Errorf("%s: %d bytes were read", what, src.read)
		}
	}
	for k := range kinds {
		if !Kind(k).known() {
			continue
		}
		for name, n := range beyond(uint64(kinds[k].mostBytes) + 1) { // the length counts the kind byte
			head := append(binary.AppendUvarint(nil, n), byte(k))
			refused(fmt.Sprintf("%s, %s", Kind(k), name), head, func(r *bufio.Reader) error { _, err := ReadMessage(r); return err })
		}
	}
	fields := []struct {
		what string
		most uint64
		head []byte
		read func(r *bufio.Reader) error
	}{
		{"chunk", content.MaxChunkBytes, append([]byte{tagAnswer}, make([]byte, 9)...), func(r *bufio.Reader) error { _, err := ReadAnswer(r); return err }},
		{"document", 1000, []byte{1}, func(r *bufio.Reader) error { _, err := ReadDocAnswer(r, 1000); return err }},
		{"largest document", MaxDocBytes, []byte{1}, func(r *bufio.Reader) error { _, err := ReadDocAnswer(r, MaxDocBytes); return err }},
		{"request to join", MaxEnrolRequestBytes, nil, func(r *bufio.Reader) error { _, err := ReadEnrolRequest(r); return err }},
		{"answer to it", MaxEnrolAnswerBytes, []byte{1}, func(r *bufio.Reader) error { _, _, _, err := ReadEnrolAnswer(r); return err }},
		{"refusal of it", MaxReasonBytes, []byte{0}, func(r *bufio.Reader) error { _, _, _, err := ReadEnrolAnswer(r); return err }},
	}
	for _, f := range fields {
		for name, n := range beyond(f.most) {
			refused(f.what+", "+name, binary.BigEndian.AppendUint32(f.head[:len(f.head):len(f.head)], uint32(min(n, math.MaxUint32))), f.read)
		}
	}
	for name, n := range beyond(MaxRumourBytes) { // a packet: its length is what came, and what it says inside
		cases++
		if _, err := DecodeRumour(make([]byte, min(n, 1<<20))); err == nil {
			t.Errorf("rumour, %s: taken", name)
		}
	}
	if cases < 60 {
		t.Errorf("%d cases, 60 are promised", cases)
	}
	t.Logf("%d cases", cases)
}

// beyond are the lengths that S-ENDLESS names for a frame of at most so many bytes.
func beyond(most uint64) map[string]uint64 {
	return map[string]uint64{
		"one byte more": most + 1, "twice": 2*most + 2, "without end": math.MaxUint32,
		"negative": math.MaxUint64, "2^63-1": math.MaxInt64,
	}
}

// What is announced within the limit and does not end is cut where it was announced to end.
func TestNothingIsReadBeyondTheAnnouncedEnd(t *testing.T) {
	for _, n := range []int{1, 1000, MaxEnrolRequestBytes} {
		src := &endless{head: binary.BigEndian.AppendUint32(nil, uint32(n))}
		b, err := ReadEnrolRequest(src)
		if err != nil || len(b) != n || src.read != n+4 {
			t.Errorf("announced %d: %d bytes, %d read, %v", n, len(b), src.read, err)
		}
	}
	if b, err := ReadBody(io.LimitReader(&endless{}, 100), 101); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes of 101, %v", len(b), err)
	}
}
