package node

import (
	"bytes"
	"context"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/transport"
)

// A medium is a source like any other, but it is not asked: it says all that it has. So it passes the suite in its
// own way: what is right is stored once and booked as media, what is wrong costs itself only, and what breaks off
// leaves nothing behind.
func TestEverySourceOfChunksMedium(t *testing.T) {
	for _, c := range []struct {
		name                 string
		manner               manner
		fresh, known, harmed int
		breaks               bool
	}{
		{"gives it", honest, 2, 1, 0, false},
		{"wrong bytes", wrongBytes, 0, 0, 3, false},
		{"another chunk", otherChunk, 0, 0, 3, false},
		{"less than it", tooShort, 0, 0, 3, false},
		{"does not have it", absent, 0, 0, 0, false},
		{"breaks off", breaksOff, 0, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newSourceWorld(t)
			w.manner = c.manner
			id := w.m.ID()
			in := &intake{c: w.n.carrier(), approved: map[content.ID]bool{id: true}, out: &api.TakenChunks{}}
			err := in.read(context.Background(), bytes.NewReader(w.medium(t, 0, 3, 3)))
			if err = intakeTrouble(err); (err != nil) != c.breaks || c.breaks && api.ClassOf(err) != api.ClassRefused {
				t.Fatalf("it ends with %v", err)
			}
			if in.out.Fresh != c.fresh || in.out.Known != c.known || in.out.Damaged != c.harmed {
				t.Fatalf("%+v", *in.out)
			}
			have, err := w.n.store.Have(id)
			if err != nil || have.Count() != c.fresh {
				t.Fatalf("%v is stored, %v", have, err)
			}
			sh, err := w.n.ledger.shares(id, w.n.store)
			if err != nil || len(sh.sources) != min(c.fresh, 1) {
				t.Fatalf("the books say %+v, %v", sh.sources, err)
			}
			if c.fresh == 0 {
				return
			}
			w.same(t, 0)
			w.same(t, 3)
			if sh.sources[0].Tier != api.TierMedia {
				t.Errorf("booked on tier %s", sh.sources[0].Tier)
			}
		})
	}
}

// What no approval names is passed over, whatever a medium holds.
func TestEverySourceOfChunksMediumOfAnotherMesh(t *testing.T) {
	w := newSourceWorld(t)
	in := &intake{c: w.n.carrier(), out: &api.TakenChunks{}}
	if err := in.read(context.Background(), bytes.NewReader(w.medium(t, 0, 3))); err != nil || in.out.Passed != 2 || in.out.Fresh != 0 {
		t.Fatalf("%+v, %v", *in.out, err)
	}
}

// medium is a stream of chunks as a stick holds them, in one of the manners.
func (w *sourceWorld) medium(t *testing.T, indexes ...int) []byte {
	t.Helper()
	var out []byte
	if w.manner == absent {
		indexes = nil
	}
	for _, i := range indexes {
		chunk := make([]byte, content.MaxChunkBytes)
		n, err := w.stored.ReadChunk(w.m.ID(), i, chunk)
		if err != nil {
			t.Fatal(err)
		}
		chunk = chunk[:n]
		if w.manner == tooShort {
			chunk = chunk[:n-1]
		}
		w.spoil(chunk)
		out = append(bundle.AppendFrame(out, bundle.Frame{Payload: w.m.ID(), Index: i, Bytes: len(chunk)}), chunk...)
		if w.manner == breaksOff {
			return out[:len(out)-n/2]
		}
	}
	return bundle.AppendEnd(out)
}

// A machine of the same site in another subnet is asked and verified as one of this subnet, and its bytes stand apart.
func TestSameSiteInAnotherSubnetIsATierOfItsOwn(t *testing.T) {
	var c contacts
	now := time.Now()
	for addr, want := range map[string]string{"127.0.0.1:7700": api.TierSubnet, "240.0.0.1:7700": api.TierSite} {
		c.met(transport.Peer{ID: addr, Site: "s", Addr: addr, SameSubnet: want == api.TierSubnet}, "s", now)
		if got := c.of(addr).tier; got != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
}
