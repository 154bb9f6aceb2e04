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
	"patchmesh/node/media"
	"patchmesh/policy"
)

// ImportedBundle says what came of a medium.
type ImportedBundle struct {
	Dir        string    `json:"dir"`
	Approvals  string    `json:"approvals"` // newer, unchanged; older or expired: those on the medium were not taken
	Epoch      uint64    `json:"epoch"`
	Head       int64     `json:"head"`
	ExpiresAt  time.Time `json:"expires_at"`
	Documents  int       `json:"documents"`   // descriptors and payload maps that are here now
	Chunks     int       `json:"chunks"`      // that were new here
	ChunkBytes int64     `json:"chunk_bytes"` // of them
	Known      int       `json:"known"`       // were here already
	Damaged    int       `json:"damaged"`
	Volumes    int       `json:"volumes"` // read to their end
	Of         int       `json:"of"`
	Complete   bool      `json:"complete"`
	// Reason is media-damaged or media-incomplete where it is not complete; Detail names the place.
	Reason  string            `json:"reason,omitempty"`
	Detail  string            `json:"detail,omitempty"`
	Lacking int               `json:"lacking,omitempty"` // approved revisions of which the documents have not come
	Missing []MissingFromDisc `json:"missing,omitempty"`

	Renewals *api.TakenAnswers `json:"renewals,omitempty"` // at a site

	Returns []*api.TakenReturn `json:"returns,omitempty"` // on a seed
	Answers *Answers           `json:"answers,omitempty"` // on a seed: requests to join
}

const (
	reasonMediaDamaged    = string(policy.ReasonMediaDamaged)
	reasonMediaIncomplete = string(policy.ReasonMediaIncomplete)
)

// bundleImport is one import under way.
type bundleImport struct {
	c     api.Carrier
	f     *media.Folder
	x     *bundle.Index
	out   *ImportedBundle
	now   time.Time
	trust *policy.Trust
	late  time.Duration // the staleness budget of the site
	docs  map[content.ID]block
	file  *os.File // the documents
}

// block is where a document lies.
type block struct {
	at   int64
	size int
}

// ImportBundle feeds a machine from a medium. Documents are verified as if a peer had shown them, and only
// what they approve is taken. A second import goes on where the first one stopped.
func ImportBundle(ctx context.Context, c api.Carrier, dir string, now time.Time) (*ImportedBundle, error) {
	f, err := media.Open(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBundle(dir)
	}
	if err != nil {
		return nil, mediaTrouble(err)
	}
	defer f.Close()
	i := &bundleImport{c: c, f: f, now: now, out: &ImportedBundle{Dir: dir}, docs: map[content.ID]block{}}
	i.x, err = f.Index()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBundle(dir)
	}
	if err != nil {
		return nil, mediaTrouble(err)
	}
	i.out.Of = len(i.x.Volumes)
	if err := i.openDocs(); err != nil {
		return nil, mediaTrouble(err)
	}
	defer i.file.Close()
	if err := i.takeTrust(ctx); err != nil {
		return nil, err
	}
	if err := i.takeAnswers(ctx); err != nil {
		return nil, err
	}
	if err := i.takeDocs(ctx); err != nil {
		return nil, err
	}
	if err := i.takeVolumes(ctx); err != nil {
		return nil, err
	}
	return i.out, i.prove(ctx)
}

func noBundle(dir string) error {
	return api.Errorf(api.ClassNotFound, "no bundle in %s", dir).WithHint("name the folder of the medium: the one that holds %s with an index", media.FolderName)
}

// openDocs finds where each document lies. What is cut off is missing then.
func (i *bundleImport) openDocs() error {
	file, _, err := i.f.OpenFile(media.Docs(i.x.DocFile.Number))
	if errors.Is(err, fs.ErrNotExist) {
		return api.Errorf(api.ClassFailed, "media-incomplete: the file of documents is missing").WithHint("export again")
	}
	if err != nil {
		return err
	}
	i.file = file
	r, err := bundle.NewReader(file)
	for err == nil && len(i.docs) < maxDocBlocks {
		var id content.ID
		var size int
		if id, size, err = r.Next(); err == nil {
			i.docs[id] = block{r.Offset(), size}
		}
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		_ = file.Close()
		return err
	}
	return nil
}

// maxDocBlocks bounds the documents that are looked at.
const maxDocBlocks = 1 << 17

// doc reads a document of at most limit bytes and hashes it. nil if it is not there.
func (i *bundleImport) doc(id content.ID, limit int) ([]byte, error) {
	b, ok := i.docs[id]
	if !ok {
		return nil, nil
	}
	if b.size > limit {
		return nil, fmt.Errorf("document %s of %d bytes, at most %d: %w", id.Short(), b.size, limit, policy.ErrTooLarge)
	}
	body := make([]byte, b.size)
	if _, err := i.file.ReadAt(body, b.at); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil // cut off
		}
		return nil, fmt.Errorf("document %s: %w", id.Short(), err)
	}
	if content.Sum(body) != id {
		return nil, fmt.Errorf("document %s: %w", id.Short(), policy.ErrHash)
	}
	return body, nil
}

// takeTrust walks from what is trusted here to the head of the medium. An older or expired head is not
// taken, and the chunks of what is approved here already are of use all the same.
func (i *bundleImport) takeTrust(ctx context.Context) error {
	have, err := i.c.TrustDocs(ctx)
	if err != nil {
		return err
	}
	if i.trust, err = openDocs(have, i.now); err != nil {
		return tufTrouble(err)
	}
	if own, err := i.c.Cargo(ctx, api.CargoQuery{}); err == nil && !own.Seed { // none before the first approvals
		i.late = i.trust.Roster().SiteStale(own.Site)
	}
	next, docs, err := i.walk()
	switch {
	case errors.Is(err, policy.ErrRollback) && i.trust.Manifest() != nil:
		i.out.Approvals = "older"
	case errors.Is(err, policy.ErrExpired) && i.trust.Manifest() != nil:
		i.out.Approvals = "expired"
	case errors.Is(err, policy.ErrMissing):
		return api.Errorf(api.ClassFailed, "media-incomplete: %v", err).WithHint("export again; nothing of the medium was taken")
	case err != nil:
		return api.Errorf(api.ClassRefused, "media-damaged: %v", err).WithHint("nothing of the medium was believed; export again, to another one")
	default:
		s, err := i.c.AdoptTrust(ctx, *docs)
		if err != nil {
			return err
		}
		i.trust, i.out.Approvals = next, "newer"
		if s.Unchanged {
			i.out.Approvals = "unchanged"
		}
	}
	i.out.Epoch, i.out.Head, i.out.ExpiresAt = i.trust.Epoch(), i.trust.HeadVersion(), i.trust.ExpiresAt().UTC()
	return nil
}

func (i *bundleImport) walk() (*policy.Trust, *api.TrustDocs, error) {
	head, err := i.doc(i.x.Head, policy.MaxTimestampBytes)
	if err != nil {
		return nil, nil, err
	}
	if head == nil {
		return nil, nil, fmt.Errorf("the head: %w", policy.ErrMissing)
	}
	roots := map[int64]content.ID{}
	for _, r := range i.x.Roots {
		roots[r.Version] = r.ID
	}
	out := &api.TrustDocs{FromMedium: true}
	r := i.trust.RefreshLate(head, i.now, i.late)
	for need, more := r.Need(); more; need, more = r.Need() {
		id := need.ID
		if need.RootVersion > 0 {
			id = roots[need.RootVersion]
		}
		b, err := i.doc(id, need.MaxBytes)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", need.Role, err)
		case b == nil && (need.RootVersion == 0 || !id.IsZero()):
			return nil, nil, fmt.Errorf("%s: %w", need.Role, policy.ErrMissing)
		case need.RootVersion > 0 && b != nil:
			out.Roots = append(out.Roots, api.TrustRoot{Version: need.RootVersion, Body: b})
		}
		if err := r.Supply(b); err != nil {
			return nil, nil, err
		}
	}
	next, err := r.Result()
	if err != nil {
		return nil, nil, err
	}
	f := next.Files()
	out.Timestamp, out.Snapshot, out.Targets, out.RosterRole, out.Roster, out.Manifest, out.Delegated =
		f.Timestamp, f.Snapshot, f.Targets, f.RosterRole, f.Roster, f.Manifest, f.Delegated
	return next, out, nil
}

// takeAnswers hands over the renewed memberships. A list that is not the seed's is none.
func (i *bundleImport) takeAnswers(ctx context.Context) error {
	if i.x.Answers.IsZero() {
		return nil
	}
	b, err := i.doc(i.x.Answers, maxAnswersBytes)
	if b == nil || err != nil {
		i.damaged(err)
		return nil
	}
	t, err := i.c.TakeAnswers(ctx, b)
	if api.ClassOf(err) == api.ClassRefused {
		i.damaged(err)
		return nil
	}
	i.out.Renewals = t
	return err
}

// docBatch is how many bytes of documents are handed over at once.
const docBatch = 16 << 20

// takeDocs hands over the descriptors that approvals name, and the maps that those name.
func (i *bundleImport) takeDocs(ctx context.Context) error {
	var batch api.CargoDocs
	size := 0
	flush := func() error {
		if len(batch.Docs) == 0 {
			return nil
		}
		t, err := i.c.TakeDocs(ctx, batch)
		if err != nil {
			return err
		}
		i.out.Documents += t.Kept
		batch.Docs, size = nil, 0
		return nil
	}
	seen := map[content.ID]bool{}
	for _, a := range i.trust.Manifest().Approvals {
		if seen[a.Descriptor] {
			continue
		}
		seen[a.Descriptor] = true
		b, err := i.doc(a.Descriptor, a.DescriptorBytes)
		if b == nil || err != nil {
			i.damaged(err)
			continue
		}
		d, err := policy.DecodeDescriptor(b)
		if err != nil {
			continue // an approver signed what this version cannot read: that update holds
		}
		m, err := i.doc(d.Payload, min(d.MapBytes, content.MaxMapBytes))
		if m == nil || err != nil {
			i.damaged(err)
			continue
		}
		batch.Docs = append(batch.Docs, b, m)
		if size += len(b) + len(m); size > docBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (i *bundleImport) damaged(err error) {
	if err != nil && i.out.Reason == "" {
		i.out.Reason, i.out.Detail = reasonMediaDamaged, err.Error()
	}
}

// takeVolumes streams what the machine lacks from all volumes. One that is damaged or missing costs
// itself only.
func (i *bundleImport) takeVolumes(ctx context.Context) error {
	want, _, err := i.lacking(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		s := &sender{w: w, want: want, buf: make([]byte, bundle.FrameBytes+content.MaxChunkBytes)}
		err := i.readVolumes(ctx, s)
		if err == nil {
			_, err = w.Write(bundle.AppendEnd(nil))
		}
		i.out.Known = s.known
		_ = w.CloseWithError(err)
		done <- err
	}()
	t, err := i.c.TakeChunks(ctx, r)
	cancel()
	_ = r.CloseWithError(errors.New("the node takes no more"))
	readErr := <-done
	if err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	i.out.Chunks, i.out.ChunkBytes, i.out.Damaged = t.Fresh, t.FreshBytes, t.Damaged
	i.out.Known += t.Known
	if t.Damaged > 0 && i.out.Reason == "" {
		i.out.Reason, i.out.Detail = reasonMediaDamaged, t.Detail
	}
	return nil
}

// lacking are the chunks that the machine has not, of payloads that are approved.
func (i *bundleImport) lacking(ctx context.Context) (want map[content.ID]*content.Bits, docs int, err error) {
	cargo, err := i.c.Cargo(ctx, api.CargoQuery{})
	if err != nil {
		return nil, 0, err
	}
	want = map[content.ID]*content.Bits{}
	for _, p := range cargo.Payloads {
		b, err := content.BitsFromBytes(p.Chunks, p.Have)
		if err != nil {
			return nil, 0, err
		}
		want[p.ID] = b
	}
	return want, cargo.Lacking, nil
}

// sender passes chunks on that are wanted.
type sender struct {
	w     io.Writer
	want  map[content.ID]*content.Bits // have-bits of approved payloads
	buf   []byte
	known int
}

func (i *bundleImport) readVolumes(ctx context.Context, s *sender) error {
	for _, v := range i.x.Volumes {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := i.readVolume(ctx, v, s)
		var gone *sendError
		switch {
		case errors.As(err, &gone):
			return gone.err
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF):
			if i.out.Reason == "" {
				i.out.Reason, i.out.Detail = reasonMediaIncomplete, err.Error()
			}
		case err != nil:
			i.damaged(fmt.Errorf("%s: %w", media.Volume(v.Number), err))
		default:
			i.out.Volumes++
		}
	}
	return nil
}

// sendError: the node does not take any more; the volume is not to blame.
type sendError struct{ err error }

func (e *sendError) Error() string { return e.err.Error() }

func (i *bundleImport) readVolume(ctx context.Context, v bundle.File, s *sender) error {
	file, _, err := i.f.OpenFile(media.Volume(v.Number))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = walkVolume(file, false, func(r bundle.Run, index int, _ content.ID, size int, body func([]byte) ([]byte, error)) error {
		if err := ctx.Err(); err != nil {
			return &sendError{err}
		}
		have := s.want[r.Payload]
		if have == nil || index >= have.Len() {
			return nil
		}
		if have.Has(index) {
			s.known++
			return nil
		}
		if _, err := body(s.buf[bundle.FrameBytes:]); err != nil {
			return err
		}
		bundle.AppendFrame(s.buf[:0], bundle.Frame{Payload: r.Payload, Index: index, Bytes: size})
		if _, err := s.w.Write(s.buf[:bundle.FrameBytes+size]); err != nil {
			return &sendError{err}
		}
		return nil
	})
	return err
}

// prove says what the machine still lacks of what the medium was made for.
func (i *bundleImport) prove(ctx context.Context) error {
	have, lacking, err := i.lacking(ctx)
	if err != nil {
		return err
	}
	if i.out.Lacking = lacking; lacking > 0 && i.out.Reason == "" {
		i.out.Reason, i.out.Detail = reasonMediaIncomplete, fmt.Sprintf("the documents of %d approved revisions are missing", lacking)
	}
	i.out.Complete = i.out.Approvals == "newer" || i.out.Approvals == "unchanged"
	named := map[content.ID]bool{}
	for _, p := range i.x.Payloads {
		b := have[p.ID]
		if b == nil || named[p.ID] {
			continue // not approved any more, or never
		}
		named[p.ID] = true
		lack := content.NewBits(b.Len())
		for c := b.NextMissing(0); c >= 0; c = b.NextMissing(c + 1) {
			lack.Set(c)
		}
		if lack.Count() > 0 {
			i.out.Complete = false
			i.out.Missing = append(i.out.Missing, MissingFromDisc{
				Payload: p.ID.String(), Update: api.Clean(p.Update), Chunks: lack.Count(), Of: lack.Len(), Ranges: ranges(lack),
			})
		}
	}
	if len(i.out.Missing) > 0 && i.out.Reason == "" {
		i.out.Reason, i.out.Detail = reasonMediaIncomplete, fmt.Sprintf("%d payloads lack chunks", len(i.out.Missing))
	}
	if i.out.Reason != "" {
		i.out.Complete = false
	}
	i.out.Detail = api.Clean(i.out.Detail)
	return nil
}
