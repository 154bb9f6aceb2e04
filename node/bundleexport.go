package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/inventory"
	"patchmesh/node/media"
	"patchmesh/policy"
)

// ExportRequest says what goes onto a medium.
type ExportRequest struct {
	Dir         string
	Site, Group string
	Have        []byte // a signed have-list that came back from the site; nil: it has nothing
	VolumeBytes int64  // 0: DefaultVolumeBytes
	Plan        bool   // say what would be written, and write nothing
	Lean        bool   // volumes of which the have-list names every chunk go
	SpareBytes  int64  // left free on the medium; 0: a megabyte
	Now         time.Time
}

// DefaultVolumeBytes loses little when a stick is pulled out, and leaves few files.
const DefaultVolumeBytes = 1 << 30

// Exported says what a medium holds.
type Exported struct {
	Dir        string            `json:"dir"`
	Site       string            `json:"site,omitempty"`
	Group      string            `json:"group,omitempty"`
	Machines   int               `json:"machines,omitempty"`
	Epoch      uint64            `json:"epoch"`
	Head       int64             `json:"head"`
	ExpiresAt  time.Time         `json:"expires_at"`
	Documents  int               `json:"documents"`
	Payloads   int               `json:"payloads"`
	NeedBytes  int64             `json:"need_bytes"`    // to be written, known before anything is
	Written    int64             `json:"written_bytes"` // all files
	ChunkBytes int64             `json:"chunk_bytes"`   // chunks that were written
	Kept       int64             `json:"kept_bytes"`    // chunks that were on the medium already
	There      int64             `json:"there_bytes"`   // chunks that the site has by its have-list
	Volumes    int               `json:"volumes"`
	Updates    []string          `json:"updates"`
	Fixes      []Fix             `json:"fixes,omitempty"`   // what machines there still wait for, by their reports
	Complete   bool              `json:"complete"`          // with the medium a machine there lacks nothing
	Lacking    int               `json:"lacking,omitempty"` // approved revisions of which the documents are not here
	Missing    []MissingFromDisc `json:"missing,omitempty"` // else exactly this
}

// Fix is an update that a medium brings to machines that have not told that it is installed.
type Fix struct {
	Update   string `json:"update"`
	Machines int    `json:"machines"`
	Bytes    int64  `json:"bytes"` // of its chunks, that the site has not got
}

// MissingFromDisc are chunks that are nowhere to be had.
type MissingFromDisc struct {
	Payload string `json:"payload"`
	Update  string `json:"update"`
	Chunks  int    `json:"chunks"`
	Of      int    `json:"of"`
	Ranges  string `json:"ranges"`
}

// export is one export under way.
type export struct {
	r     ExportRequest
	c     api.Carrier
	f     *media.Folder
	cargo *api.Cargo
	docs  *api.TrustDocs

	answers []byte // renewed memberships; nil: none
	trust   *policy.Trust
	old     *bundle.Index // nil: none that can be used
	out     *Exported
	x       *bundle.Index
	loads   []*load
	drop    []bundle.File
}

// load is one payload of the export.
type load struct {
	p                   api.CargoPayload
	m                   *content.PayloadMap
	have, there, onDisc *content.Bits
	todo                *content.Bits
}

// ExportBundle writes what a site needs. A medium that holds a part of it already gets the rest: after a
// kill or a pulled stick the same command goes on.
func ExportBundle(ctx context.Context, c api.Carrier, r ExportRequest) (*Exported, error) {
	if r.VolumeBytes == 0 {
		r.VolumeBytes = DefaultVolumeBytes
	}
	if r.VolumeBytes < 4*content.MaxChunkBytes || r.VolumeBytes > bundle.MaxFileBytes {
		return nil, api.Errorf(api.ClassUsage, "a volume of %s: it must be 4 MiB to 4 GiB less one byte", api.Size(r.VolumeBytes))
	}
	e := &export{r: r, c: c, out: &Exported{Dir: r.Dir, Site: r.Site, Group: r.Group, Updates: []string{}}}
	if err := e.plan(ctx); err != nil {
		return nil, err
	}
	if r.Dir != "" {
		var err error
		if e.f, err = media.Open(r.Dir, !r.Plan); err == nil {
			defer e.f.Close()
		} else if !r.Plan && errors.Is(err, fs.ErrNotExist) {
			return nil, api.Errorf(api.ClassNotFound, "no folder %s", r.Dir).WithHint("mount the medium first: the folder is not made here, or the bundle would lie on this disk")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, mediaTrouble(err)
		}
	}
	if e.f != nil {
		if err := e.look(); err != nil {
			return nil, mediaTrouble(err)
		}
	}
	parts := e.divide()
	if r.Plan {
		e.prove()
		return e.out, nil
	}
	if err := e.write(ctx, parts); err != nil {
		return nil, mediaTrouble(err)
	}
	e.prove()
	return e.out, nil
}

// write makes documents, index and volumes, in the order in which a pulled stick loses least.
func (e *export) write(ctx context.Context, parts [][]segment) error {
	if e.x == nil {
		e.x = &bundle.Index{}
	}
	docs, err := e.documents(ctx)
	if err != nil {
		return err
	}
	for _, d := range docs {
		e.out.NeedBytes += bundle.BlockBytes(len(d))
	}
	spare := max(e.r.SpareBytes, spareBytes)
	if free, _, err := inventory.Free(e.f.Dir()); err == nil && free < e.out.NeedBytes+spare {
		return api.Errorf(api.ClassNoSpace, "disk-short: the medium %s: %s", e.r.Dir, spaceText(e.out.NeedBytes+spare, free)).
			WithHint("take a larger one, or export for one site or group")
	}
	e.out.Documents = len(docs)
	if err := e.begin(docs); err != nil {
		return err
	}
	next := 1
	for _, v := range e.x.Volumes {
		next = v.Number + 1
	}
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := e.writeVolume(ctx, next, part)
		if err != nil {
			return err
		}
		e.keep(v)
		if err := e.f.PutIndex(e.x); err != nil {
			return err
		}
		next++
	}
	e.out.Volumes = len(e.x.Volumes)
	e.prove()
	e.x.Complete = true
	return e.f.PutIndex(e.x)
}

// spareBytes stay free: the index, and what a file system takes for itself.
const spareBytes = 1 << 20

// begin writes the documents and an index that names them and what is kept; only then does what is of no
// use any more go.
func (e *export) begin(docs [][]byte) error {
	number := 1
	if e.old != nil {
		number = e.old.DocFile.Number%bundle.MaxFiles + 1
	}
	x := e.x
	x.Org, x.Site, x.Group, x.Epoch, x.HeadNo, x.ExpiresAt, x.MadeAt = e.cargo.Org, e.r.Site, e.r.Group, e.out.Epoch, e.out.Head, e.out.ExpiresAt, e.r.Now.UTC()
	x.Head = content.Sum(e.docs.Timestamp)
	if x.Answers = (content.ID{}); len(e.answers) > 0 {
		x.Answers = content.Sum(e.answers)
	}
	for _, r := range e.docs.Roots {
		x.Roots = append(x.Roots, bundle.RootRef{Version: r.Version, ID: content.Sum(r.Body)})
	}
	for _, d := range docs {
		x.Documents = append(x.Documents, content.Sum(d))
	}
	for _, l := range e.loads {
		carried := 0
		for i := range l.p.Chunks {
			if l.onDisc.Has(i) || l.todo.Has(i) {
				carried++
			}
		}
		x.Payloads = append(x.Payloads, bundle.Payload{ID: l.p.ID, Update: l.p.Update, Chunks: l.p.Chunks, Carried: carried, StoredBytes: l.p.StoredBytes})
	}
	var err error
	if x.DocFile, err = e.writeFile(media.Docs(number), number, []content.ID{x.Head}, func(put func([]byte) error) error {
		for _, d := range docs {
			if err := put(d); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := e.f.PutIndex(x); err != nil {
		return err
	}
	if e.old != nil {
		if err := e.f.Remove(media.Docs(e.old.DocFile.Number)); err != nil {
			return err
		}
	}
	for _, v := range e.drop {
		if err := e.f.Remove(media.Volume(v.Number)); err != nil {
			return err
		}
	}
	return nil
}

// documents are all signed documents, descriptors and payload maps, the head first.
func (e *export) documents(ctx context.Context) ([][]byte, error) {
	docs := [][]byte{e.docs.Timestamp}
	for _, r := range e.docs.Roots {
		docs = append(docs, r.Body)
	}
	for _, d := range filesOf(e.docs).Documents() {
		if len(d) > 0 {
			docs = append(docs, d)
		}
	}
	var err error
	if e.answers, err = e.c.GiveAnswers(ctx, api.CargoQuery{Site: e.r.Site}); err != nil {
		return nil, err
	}
	if len(e.answers) > 0 {
		docs = append(docs, e.answers)
	}
	for ids := e.cargo.Docs; len(ids) > 0; {
		some, err := e.c.GiveDocs(ctx, api.DocQuery{IDs: ids[:min(len(ids), 4096)]})
		if err != nil {
			return nil, err
		}
		if len(some.Docs) == 0 {
			return nil, api.Errorf(api.ClassFailed, "the node did not give document %s", ids[0].Short())
		}
		docs = append(docs, some.Docs...)
		ids = ids[len(some.Docs):]
	}
	return docs, nil
}

// writeFile writes one CAR file, syncs it, reads it back and gives it its name.
func (e *export) writeFile(name media.Name, number int, roots []content.ID, fill func(put func([]byte) error) error) (bundle.File, error) {
	v := bundle.File{Number: number}
	out, err := e.f.Create(name)
	if err != nil {
		return v, err
	}
	w, err := bundle.NewWriter(out, roots)
	if err == nil {
		err = fill(func(b []byte) error {
			v.Blocks++
			return w.Put(content.Sum(b), b)
		})
	}
	if err != nil {
		out.Abort()
		return v, err
	}
	v.SizeBytes = w.Size()
	e.out.Written += w.Size()
	return v, out.Commit(func(back *os.File) error { return verifyCAR(back, v.Blocks) })
}

func (e *export) writeVolume(ctx context.Context, number int, part []segment) (bundle.File, error) {
	var roots []content.ID
	for _, s := range part {
		roots = append(roots, s.l.p.ID)
	}
	return e.writeFile(media.Volume(number), number, roots, func(put func([]byte) error) error {
		for _, s := range part {
			if err := put(s.l.m.Encode()); err != nil {
				return err
			}
			if err := put(bundle.Run{Payload: s.l.p.ID, Bits: s.bits}.Encode()); err != nil {
				return err
			}
			if err := e.copyChunks(ctx, s, put); err != nil {
				return err
			}
		}
		return nil
	})
}

// copyChunks takes the chunks from the node. What its disk gave wrong does not get onto the medium.
func (e *export) copyChunks(ctx context.Context, s segment, put func([]byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	given := make(chan struct{})
	defer func() { // nothing reads from the node any more when this returns: its folder may be closed next
		cancel()
		_ = r.Close()
		<-given
	}()
	go func() {
		defer close(given)
		err := e.c.GiveChunks(ctx, api.ChunkQuery{Payload: s.l.p.ID, Chunks: s.bits.Bytes()}, w)
		_ = w.CloseWithError(err)
	}()
	buf := make([]byte, content.MaxChunkBytes)
	for i := range s.l.p.Chunks {
		if !s.bits.Has(i) {
			continue
		}
		c := s.l.m.Chunks[i]
		f, err := bundle.ReadFrame(r)
		if err == nil && (f.Payload != s.l.p.ID || f.Index != i || f.Bytes != int(c.StoredBytes)) {
			err = content.ErrFormat
		}
		if err == nil {
			_, err = io.ReadFull(r, buf[:f.Bytes])
		}
		if err == nil {
			err = s.l.m.CheckChunk(i, buf[:f.Bytes])
		}
		if err != nil {
			return fmt.Errorf("chunk %d of %s from the store: %w", i, s.l.p.Update, err)
		}
		if err := put(buf[:f.Bytes]); err != nil {
			return err
		}
		e.out.ChunkBytes += int64(c.StoredBytes)
	}
	if _, err := bundle.ReadFrame(r); !errors.Is(err, io.EOF) {
		return fmt.Errorf("end of %s from the store: %w", s.l.p.Update, content.ErrFormat)
	}
	return nil
}

// prove says what a machine that has what the have-list says, and takes the medium, still lacks.
func (e *export) prove() {
	e.out.Lacking = e.cargo.Lacking
	e.out.Complete, e.out.Missing = e.cargo.Lacking == 0, nil
	for _, l := range e.loads {
		lack := content.NewBits(l.p.Chunks)
		for i := range l.p.Chunks {
			if !l.there.Has(i) && !l.onDisc.Has(i) && !l.todo.Has(i) {
				lack.Set(i)
			}
		}
		if lack.Count() > 0 {
			e.out.Complete = false
			e.out.Missing = append(e.out.Missing, MissingFromDisc{
				Payload: l.p.ID.String(), Update: l.p.Update, Chunks: lack.Count(), Of: l.p.Chunks, Ranges: ranges(lack),
			})
		}
	}
}

// mediaTrouble gives what a medium may do wrong its class and a way out.
func mediaTrouble(err error) error {
	var known *api.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, media.ErrUnsafe), errors.Is(err, content.ErrFormat):
		return api.Errorf(api.ClassRefused, "media-damaged: %v", err).WithHint("nothing of it was believed; export to another medium")
	case errors.Is(err, content.ErrDamaged):
		return api.Errorf(api.ClassFailed, "media-damaged: %v", err).WithHint("the medium does not give back what was written to it: take another one")
	}
	return spaceClass(err)
}
