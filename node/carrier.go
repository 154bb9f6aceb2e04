package node

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// carrier does a node's part with removable media: it gives signed documents and stored chunks away, and
// takes them. It works on a data folder, so that it serves a running node and a stopped one alike. Who
// has the medium open is the command line (bundleexport.go, bundleimport.go): what arrives here is
// hostile, and verified as if it had come from a peer.
type carrier struct {
	db       *state.DB
	store    *disk.Store
	docs     *library
	believer *believer
	seed     *seed
	member   membership
	id       string
	key      ed25519.PrivateKey
	now      func() time.Time
	books    *ledger // where the bytes on this machine came from
	receipts *receipts
	n        *Node // nil: stopped
}

func (n *Node) carrier() *carrier {
	return &carrier{db: n.db, store: n.store, docs: n.docs, believer: n.believer, seed: n.seed, member: n.member, id: n.id, key: n.key, now: n.cfg.Now, books: n.ledger, receipts: n.receipts, n: n}
}

// live: the core runs and hears of what comes.
func (c *carrier) live() bool { return c.n != nil && c.n.core != nil }

// cargo implements api.Carrier.Cargo.
func (c *carrier) cargo(q api.CargoQuery) (*api.Cargo, error) {
	m := c.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassRefused, "this machine has no approvals yet").WithHint("connect it to the mesh, or feed it with 'patchmesh bundle import DIR'")
	}
	out := &api.Cargo{Org: c.member.Org, Site: c.member.Site, Machine: c.id, Seed: c.seed != nil, Epoch: m.Epoch, Docs: []content.ID{}, Payloads: []api.CargoPayload{}}
	wanted, err := c.wanted(m, q, out)
	if err != nil {
		return nil, err
	}
	waiting, err := c.waiting(q, m)
	if err != nil {
		return nil, err
	}
	seen := map[content.ID]bool{}
	add := func(id content.ID) {
		if !seen[id] {
			seen[id] = true
			out.Docs = append(out.Docs, id)
		}
	}
	needed, lacks := map[content.ID]bool{}, map[content.ID]bool{} // one description may stand in many approvals
	for i, a := range m.Approvals {
		d := c.descriptor(a.Descriptor)
		if d == nil {
			lacks[a.Descriptor] = true
			continue
		}
		add(a.Descriptor)
		if _, err := c.docs.payloadMap(d.Payload); err != nil {
			lacks[a.Descriptor] = true
			continue
		}
		add(d.Payload)
		if _, found := slices.BinarySearch(wanted, i); !found || needed[d.Payload] {
			continue
		}
		needed[d.Payload] = true
		p, err := c.cargoPayload(d)
		if err != nil {
			return nil, err
		}
		p.Waiting = waiting[p.Update]
		out.Payloads = append(out.Payloads, *p)
	}
	out.Lacking = len(lacks)
	return out, nil
}

// wanted lists the approvals, by index and in order, whose bytes somebody needs.
func (c *carrier) wanted(m *policy.Manifest, q api.CargoQuery, out *api.Cargo) ([]int, error) {
	if q.Site == "" && q.Group == "" || c.seed == nil && q.Group == "" && q.Site == c.member.Site {
		var all []int
		for i, a := range m.Approvals {
			if a.NeedsPayload() {
				all = append(all, i)
			}
		}
		return all, nil
	}
	if c.seed == nil {
		return nil, api.Errorf(api.ClassRefused, "only a seed knows the machines of other sites and of groups").WithHint("run it on the seed, or without --site and --group")
	}
	members, err := c.db.Members()
	if err != nil {
		return nil, err
	}
	var machines [][]string
	for _, k := range members {
		groups := c.seed.groupsOf(k)
		if (q.Site == "" || k.Site == q.Site) && (q.Group == "" || m.InGroup(groups, q.Group)) {
			machines = append(machines, groups)
		}
	}
	if len(machines) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "no machine is enrolled in %s", api.Clean(first(q.Site, q.Group))).
			WithHint("'patchmesh status' lists the machines with their sites and groups")
	}
	out.Machines = len(machines)
	return m.Cargo(machines, true, c.now()), nil
}

func (c *carrier) cargoPayload(d *policy.Descriptor) (*api.CargoPayload, error) {
	m, err := c.docs.payloadMap(d.Payload)
	if err != nil {
		return nil, err
	}
	have, err := c.have(m)
	if err != nil {
		return nil, err
	}
	return &api.CargoPayload{ID: m.ID(), Update: string(d.Update), Chunks: m.Len(), StoredBytes: m.StoredBytes(), Have: have.Bytes()}, nil
}

func (c *carrier) have(m *content.PayloadMap) (*content.Bits, error) {
	have, err := c.store.Have(m.ID())
	if errors.Is(err, content.ErrNotFound) {
		return content.NewBits(m.Len()), nil
	}
	return have, err
}

// descriptor is one that is at hand; nil if it is not, or is none.
func (c *carrier) descriptor(id content.ID) *policy.Descriptor {
	b, err := c.docs.document(id)
	if err != nil {
		return nil
	}
	d, err := policy.DecodeDescriptor(b)
	if err != nil {
		return nil
	}
	return d
}

// maxGiven bounds the documents of one answer; the asker asks for the rest again.
const maxGiven = 48 << 20

func (c *carrier) giveDocs(q api.DocQuery) (*api.CargoDocs, error) {
	out, size := &api.CargoDocs{Docs: [][]byte{}}, 0
	for _, id := range q.IDs {
		b, err := c.docs.document(id)
		if errors.Is(err, content.ErrNotFound) || errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if size += len(b); size > maxGiven && len(out.Docs) > 0 {
			break
		}
		out.Docs = append(out.Docs, b)
	}
	return out, nil
}

// giveChunks writes what is stored as it lies there: whoever gets it hashes it.
func (c *carrier) giveChunks(ctx context.Context, q api.ChunkQuery, w io.Writer) error {
	m, err := c.docs.payloadMap(q.Payload)
	if err != nil {
		return api.Errorf(api.ClassNotFound, "no payload %s here", q.Payload.Short())
	}
	want, err := content.BitsFromBytes(m.Len(), q.Chunks)
	if err != nil {
		return api.Errorf(api.ClassUsage, "%v", err)
	}
	buf := make([]byte, bundle.FrameBytes+content.MaxChunkBytes)
	for i := range m.Len() {
		if !want.Has(i) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := c.store.ReadChunk(q.Payload, i, buf[bundle.FrameBytes:])
		if err != nil {
			return fmt.Errorf("chunk %d of %s: %w", i, q.Payload.Short(), err)
		}
		bundle.AppendFrame(buf[:0], bundle.Frame{Payload: q.Payload, Index: i, Bytes: n})
		if _, err := w.Write(buf[:bundle.FrameBytes+n]); err != nil {
			return err
		}
	}
	_, err = w.Write(bundle.AppendEnd(nil))
	return err
}

// takeDocs keeps what the approvals in force name, and nothing else: a stick must not fill the database.
func (c *carrier) takeDocs(docs api.CargoDocs) (*api.TakenDocs, error) {
	out := &api.TakenDocs{}
	m := c.believer.current().Manifest()
	if m == nil {
		out.Passed = len(docs.Docs)
		return out, nil
	}
	byID := map[content.ID][]byte{}
	for _, b := range docs.Docs {
		byID[content.Sum(b)] = b
	}
	for _, a := range m.Approvals {
		if b := byID[a.Descriptor]; b != nil && len(b) == a.DescriptorBytes {
			if _, err := policy.DecodeDescriptor(b); err != nil {
				continue
			}
			if err := c.keepDoc(a.Descriptor, "descriptor", b, out); err != nil {
				return nil, err
			}
		}
		d := c.descriptor(a.Descriptor)
		if d == nil {
			continue
		}
		if b := byID[d.Payload]; b != nil {
			pm, err := content.DecodeMap(b)
			if err != nil || matches(d, pm) != nil {
				continue
			}
			if err := c.keepDoc(d.Payload, "payload-map", b, out); err != nil {
				return nil, err
			}
		}
		c.tellDescriptor(a.Descriptor, d)
	}
	out.Passed = len(byID) - out.Kept
	return out, nil
}

func (c *carrier) keepDoc(id content.ID, kind string, b []byte, out *api.TakenDocs) error {
	if has, err := c.db.HasDoc(id); err != nil || has {
		if err == nil {
			out.Kept++
		}
		return err
	}
	if err := c.db.PutDoc(id, kind, b); err != nil {
		return spaceClass(err)
	}
	out.Kept++
	return nil
}

// tellDescriptor lets the core have a descriptor that it may have asked for in vain. It ignores one that
// it has.
func (c *carrier) tellDescriptor(id content.ID, d *policy.Descriptor) {
	if !c.live() {
		return
	}
	m, err := c.docs.payloadMap(d.Payload)
	if err != nil || matches(d, m) != nil {
		return
	}
	if info, err := c.n.payloadInfo(m); err == nil {
		c.n.events.send(swarm.DescriptorArrived{ID: id, Descriptor: d, Payload: info})
	}
}

// approved are the payloads that the approvals in force name, of which the map is known.
func (c *carrier) approved() map[content.ID]bool {
	out := map[content.ID]bool{}
	m := c.believer.current().Manifest()
	if m == nil {
		return out
	}
	for _, a := range m.Approvals {
		if d := c.descriptor(a.Descriptor); d != nil && a.NeedsPayload() {
			out[d.Payload] = true
		}
	}
	return out
}

// intake is one stream of chunks.
type intake struct {
	c        *carrier
	approved map[content.ID]bool
	out      *api.TakenChunks
	now      struct { // the payload at hand
		id    content.ID
		m     *content.PayloadMap // nil: not wanted
		fresh int64               // bytes not told of yet
		tell  int                 // chunks not told of yet
	}
}

// tellEvery is after how many chunks the core, and with it the neighbours, hear of them.
const tellEvery = 32

// takeChunks implements api.Carrier.TakeChunks.
func (c *carrier) takeChunks(ctx context.Context, r io.Reader) (*api.TakenChunks, error) {
	in := &intake{c: c, approved: c.approved(), out: &api.TakenChunks{}}
	err := in.read(ctx, bufio.NewReaderSize(r, 256<<10))
	in.tellCore()
	// What is acknowledged is on the disk: the stick is pulled out and erased next.
	if serr := errors.Join(c.store.Sync(), c.books.flush()); err == nil {
		err = serr
	}
	if err != nil {
		return nil, intakeTrouble(err)
	}
	return in.out, nil
}

func intakeTrouble(err error) error {
	var full *content.NoSpaceError
	if errors.As(err, &full) {
		return api.Errorf(api.ClassNoSpace, "disk-short: %s", spaceText(full.NeedBytes, full.FreeBytes)).
			WithHint("make room on the disk of the data folder, then import again: it goes on where it stopped")
	}
	if errors.Is(err, content.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		return api.Errorf(api.ClassRefused, "chunks: %v", err)
	}
	return spaceClass(err)
}

func (in *intake) read(ctx context.Context, r io.Reader) error {
	buf := make([]byte, content.MaxChunkBytes)
	for {
		f, err := bundle.ReadFrame(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if _, err := io.ReadFull(r, buf[:f.Bytes]); err != nil {
			return fmt.Errorf("chunk %d of %s: %w", f.Index, f.Payload.Short(), io.ErrUnexpectedEOF)
		}
		if err := in.take(f, buf[:f.Bytes]); err != nil {
			return err
		}
	}
}

// take stores one chunk. A wrong one is counted and costs itself only.
func (in *intake) take(f bundle.Frame, stored []byte) error {
	if f.Payload != in.now.id {
		if err := in.open(f.Payload); err != nil {
			return err
		}
	}
	m := in.now.m
	if m == nil {
		in.out.Passed++
		return nil
	}
	if f.Index >= m.Len() {
		in.damaged(f, "there is no such chunk")
		return nil
	}
	fresh, err := in.c.store.Put(f.Payload, f.Index, stored)
	var corrupt *content.CorruptError
	switch {
	case errors.As(err, &corrupt):
		in.damaged(f, corrupt.Error())
		return nil
	case err != nil:
		return err
	case !fresh:
		in.out.Known++
		return nil
	}
	if stick := (contact{tier: api.TierMedia}); in.c.n != nil {
		in.c.n.chunkBooked(m, f.Index, stick, len(stored), true)
	} else {
		in.c.books.arrived(m.ID(), m.Len(), f.Index, stick, len(stored), true)
	}
	in.out.Fresh++
	in.out.FreshBytes += int64(len(stored))
	in.now.fresh += int64(len(stored))
	if in.now.tell++; in.now.tell >= tellEvery {
		in.tellCore()
	}
	return nil
}

func (in *intake) damaged(f bundle.Frame, why string) {
	if in.out.Damaged++; in.out.Detail == "" {
		in.out.Detail = fmt.Sprintf("chunk %d of payload %s: %s", f.Index, f.Payload.Short(), why)
	}
}

// open turns to another payload: room is made for it only if an approval names it.
func (in *intake) open(id content.ID) error {
	in.tellCore()
	in.now.id, in.now.m = id, nil
	if !in.approved[id] {
		return nil
	}
	m, err := in.c.docs.payloadMap(id)
	if err != nil {
		return nil // its map has not come: the chunks cannot be verified
	}
	if _, err := in.c.store.Begin(m); err != nil {
		return err
	}
	in.now.m = m
	return nil
}

// tellCore tells of what came since the last time.
func (in *intake) tellCore() {
	if in.now.tell == 0 {
		return
	}
	bytes := in.now.fresh
	in.now.fresh, in.now.tell = 0, 0
	if !in.c.live() {
		if err := in.c.countCarried(in.now.id, bytes); err != nil && in.out.Detail == "" {
			in.out.Detail = err.Error()
		}
		return
	}
	have, err := in.c.store.Have(in.now.id)
	if err != nil {
		return
	}
	in.c.n.events.send(swarm.ChunksCarried{Payload: in.now.id, Have: have, Bytes: bytes})
}

// carriedKey keeps what a stopped machine was fed, by payload, until its core hears of it.
const carriedKey = "carried"

func (c *carrier) countCarried(id content.ID, bytes int64) error {
	sums := map[content.ID]int64{}
	if b, err := c.db.Value(carriedKey); err == nil {
		_ = json.Unmarshal(b, &sums) // a count, nothing more
	}
	sums[id] += bytes
	b, err := json.Marshal(sums)
	if err != nil {
		return err
	}
	return c.db.PutValue(carriedKey, b)
}

// tellCarried tells the core of what was fed while it was stopped.
func (n *Node) tellCarried() {
	b, err := n.db.Value(carriedKey)
	if err != nil {
		return
	}
	sums := map[content.ID]int64{}
	if json.Unmarshal(b, &sums) == nil {
		for id, bytes := range sums { // counts only: order does not matter
			n.events.send(swarm.ChunksCarried{Payload: id, Bytes: bytes})
		}
	}
	if err := n.db.DropValue(carriedKey); err != nil {
		n.log.Warn("counts of a medium not cleared", "err", err)
	}
}
