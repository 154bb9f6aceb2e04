package disk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// read is what somebody got who read a payload while it came, and how that ended.
type read struct {
	body []byte
	err  error
}

func follow(t *testing.T, ctx context.Context, s *disk.Store, m *content.PayloadMap) (*disk.Copy, <-chan read) {
	t.Helper()
	c, err := s.Follow(ctx, m.ID())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan read, 1)
	go func() {
		body, err := io.ReadAll(c)
		done <- read{body, err}
	}()
	return c, done
}

// Whoever reads a payload while it comes, in any order, gets all of it; and what he found right is not hashed
// again, as with a payload that was whole before.
func TestFollowedPayloadIsReadAsItComesAndHashedOnce(t *testing.T) {
	s := open(t, t.TempDir())
	plain := storetest.Mixed(31, 40*content.MinChunkBytes+99) // more than is waited for at a time
	m, stored := storetest.Packed(t, plain)
	put(t, s, m, stored, 1, 0)
	c, done := follow(t, t.Context(), s, m)
	for i := m.Len() - 1; i >= 2; i-- {
		put(t, s, m, stored, i)
	}
	if got := <-done; got.err != nil || !bytes.Equal(got.body, plain) {
		t.Fatalf("%d of %d bytes, %v", len(got.body), len(plain), got.err)
	}
	c.Matched(m.SHA256)
	flip(t, dataFile(s, m.ID()), m.Offset(3)+5) // who hashed again would meet it
	if err := s.Publish(m.ID()); err != nil || !s.Published(m.ID()) {
		t.Fatalf("publish what was hashed as it came: %v", err)
	}
}

// A chunk that was read and then lost is another one when it comes again.
func TestFollowedPayloadThatLostAChunkIsNotBelieved(t *testing.T) {
	s := open(t, t.TempDir())
	m, stored := storetest.Packed(t, storetest.Mixed(33, 6*content.MinChunkBytes+99))
	for i := range m.Len() {
		put(t, s, m, stored, i)
	}
	c, err := s.Follow(t.Context(), m.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	renew(t, s, m, stored)
	c.Matched(m.SHA256)
	flip(t, dataFile(s, m.ID()), m.Offset(2)+9)
	if err := s.Publish(m.ID()); !errors.Is(err, content.ErrDamaged) {
		t.Fatalf("publish a damaged payload: %v, want ErrDamaged", err)
	}
}

// Nobody waits for ever: for a chunk that was lost again, for a payload that is dropped, for a store that closes, or
// longer than he wants.
func TestWhoFollowsDoesNotWaitForEver(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, s *disk.Store, m *content.PayloadMap, stop func())
		want error
	}{
		"a chunk is lost": {func(t *testing.T, s *disk.Store, m *content.PayloadMap, _ func()) {
			flip(t, dataFile(s, m.ID()), m.Offset(0)+1)
			if _, err := s.CheckChunk(m.ID(), 0, make([]byte, m.ChunkBytes)); !errors.Is(err, content.ErrDamaged) {
				t.Fatal(err)
			}
		}, content.ErrIncomplete},
		"the payload goes": {func(t *testing.T, s *disk.Store, m *content.PayloadMap, _ func()) {
			if err := s.Drop(m.ID()); err != nil {
				t.Fatal(err)
			}
		}, content.ErrNotFound},
		"the store closes": {func(t *testing.T, s *disk.Store, _ *content.PayloadMap, _ func()) {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}, content.ErrClosed},
		"nobody wants it": {func(_ *testing.T, _ *disk.Store, _ *content.PayloadMap, stop func()) { stop() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			m, stored := storetest.Packed(t, storetest.Mixed(35, 3*content.MinChunkBytes))
			put(t, s, m, stored, 0, 1)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			_, done := follow(t, ctx, s, m)
			c.end(t, s, m, stop)
			if got := <-done; !errors.Is(got.err, c.want) {
				t.Fatalf("after %d bytes: %v, want %v", len(got.body), got.err, c.want)
			}
		})
	}
}

// What is there already may take long to read: who must stop does not read on because nothing is missing.
func TestWhoFollowsAWholePayloadStopsWhenTold(t *testing.T) {
	s := open(t, t.TempDir())
	m, stored := storetest.Packed(t, storetest.Mixed(37, 3*content.MinChunkBytes))
	put(t, s, m, stored, 0, 1, 2)
	ctx, stop := context.WithCancel(t.Context())
	c, err := s.Follow(ctx, m.ID())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, m.ChunkBytes)
	if _, err := io.ReadFull(c, buf); err != nil {
		t.Fatal(err)
	}
	stop()
	if n, err := io.ReadFull(c, buf); !errors.Is(err, context.Canceled) {
		t.Fatalf("%d bytes more, %v", n, err)
	}
}

// Where all is said to be there, what is not is waited for no longer: it may never come. What is there is read.
func TestWhoFollowsDoesNotWaitOnceAllShouldBeThere(t *testing.T) {
	s := open(t, t.TempDir())
	m, stored := storetest.Packed(t, storetest.Mixed(38, 3*content.MinChunkBytes))
	put(t, s, m, stored, 0, 1)
	c, done := follow(t, t.Context(), s, m)
	c.NoMore()
	c.NoMore()
	got := <-done
	if !errors.Is(got.err, content.ErrIncomplete) || len(got.body) != 2*int(m.ChunkBytes) {
		t.Fatalf("%d bytes, %v", len(got.body), got.err)
	}
	put(t, s, m, stored, 2)
	c, err := s.Follow(t.Context(), m.ID())
	if err != nil {
		t.Fatal(err)
	}
	c.NoMore()
	if body, err := io.ReadAll(c); err != nil || int64(len(body)) != m.PlainBytes {
		t.Fatalf("%d bytes of a payload that is whole, %v", len(body), err)
	}
}

// Somebody may bring the whole payload in another way while its chunks are waited for.
func TestWhoFollowsSeesAnImport(t *testing.T) {
	s := open(t, t.TempDir())
	plain := storetest.Mixed(39, 3*content.MinChunkBytes)
	m, stored := storetest.Packed(t, plain)
	put(t, s, m, stored, 0)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	_, done := follow(t, ctx, s, m)
	time.Sleep(50 * time.Millisecond) // it waits by now
	if _, err := s.Import(bytes.NewReader(plain), int64(len(plain))); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || !bytes.Equal(got.body, plain) {
		t.Fatalf("%d of %d bytes, %v", len(got.body), len(plain), got.err)
	}
}
