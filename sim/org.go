package sim

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// docs is one published set of signed documents. Machines pass its head on by pointer, which stands
// for the bytes.
type docs struct {
	version int64 // of the head
	head    []byte
	trust   *policy.Trust // as the seed has it; nil: a head that nobody has signed
	expires []time.Time   // of its documents, for verifier
}

// org is the organisation: its keys and what its seed has published.
type org struct {
	keys   policy.RoleKeys
	roots  map[int64][]byte
	first  *docs
	newest *docs
	turns  int // of the timestamp key
	verify *verifier
}

const orgName = "sim"

// keyOf makes a signing key from a name. Nothing secret: the keys guard a world that does not exist.
func keyOf(name string) policy.Signer {
	sum := content.Sum([]byte("patchmesh sim " + name)).SHA256()
	s, err := policy.NewSigner(ed25519.NewKeyFromSeed(sum[:]))
	if err != nil {
		panic(err) // 32 bytes always make a key
	}
	return s
}

// founded is made once: every run begins with the same documents of epoch 1.
var founded = sync.OnceValues(func() (*docs, error) { return foundAt(epoch0) })

func foundAt(now time.Time) (*docs, error) {
	k := orgKeys(0)
	enrol := content.Sum([]byte("patchmesh sim enrolment")).SHA256()
	pub := ed25519.NewKeyFromSeed(enrol[:]).Public().(ed25519.PublicKey)
	roster := &policy.Roster{
		Org: orgName, EnrolmentKeys: []string{hex.EncodeToString(pub)},
		Seeds: []policy.SeedEntry{{Peer: "seed", Site: "hq", Addrs: []string{"192.0.2.1:7700"}}},
	}
	f, err := policy.NewRepository(orgName, k, roster, now)
	if err != nil {
		return nil, fmt.Errorf("found the organisation: %w", err)
	}
	t, err := policy.OpenTrust(f, now)
	if err != nil {
		return nil, fmt.Errorf("found the organisation: %w", err)
	}
	return newDocs(t), nil
}

func orgKeys(turn int) policy.RoleKeys {
	stamp := "timestamp"
	if turn > 0 {
		stamp = fmt.Sprintf("timestamp %d", turn)
	}
	return policy.RoleKeys{
		Root: []policy.Signer{keyOf("root")}, RootThreshold: 1,
		Approvers: []policy.Signer{keyOf("approver a"), keyOf("approver b")}, Threshold: 2,
		Online: policy.OnlineKeys{Timestamp: keyOf(stamp), Snapshot: keyOf("snapshot"), Roster: keyOf("roster")},
	}
}

func newOrg(v *verifier) (*org, error) {
	d, err := founded()
	if err != nil {
		return nil, err
	}
	return orgOf(d, v), nil
}

// newOrgAt is an organisation that was founded just then.
func newOrgAt(v *verifier, now time.Time) (*org, error) {
	d, err := foundAt(now)
	if err != nil {
		return nil, err
	}
	return orgOf(d, v), nil
}

func orgOf(d *docs, v *verifier) *org {
	return &org{keys: orgKeys(0), first: d, newest: d, roots: map[int64][]byte{1: d.trust.Files().Root}, verify: v}
}

func newDocs(t *policy.Trust) *docs {
	d := &docs{version: t.HeadVersion(), head: t.Files().Timestamp, trust: t}
	d.expires = []time.Time{t.ExpiresAt(), t.ApprovalsExpireAt(), t.RootExpiresAt()}
	return d
}

// publish signs the next set: edit changes the manifest, roster replaces the roster; nil leaves them.
func (o *org) publish(now time.Time, edit func(*policy.Manifest), roster *policy.Roster) error {
	t := o.newest.trust
	var d *policy.Draft
	if edit != nil {
		m, err := policy.DecodeManifest(t.Files().Manifest)
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		m.Epoch, m.IssuedAt = m.Epoch+1, now.UTC().Truncate(time.Second)
		edit(m)
		if d, err = policy.NewDraft(t, m, now); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		for _, s := range o.keys.Approvers {
			if err := d.Sign(s); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
	}
	f, err := t.Publish(d, roster, o.keys.Online, now)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return o.take(f, now)
}

// turnKey gives the seed another timestamp key, under a new root.
func (o *org) turnKey(now time.Time) error {
	o.turns++
	k := orgKeys(o.turns)
	t := o.newest.trust
	root, err := t.NextRoot(k, k.Root, now)
	if err != nil {
		return fmt.Errorf("next root: %w", err)
	}
	f, err := t.PublishRoot(root, nil, nil, k.Online, now)
	if err != nil {
		return fmt.Errorf("publish root: %w", err)
	}
	o.keys = k
	return o.take(f, now)
}

func (o *org) take(f policy.Files, now time.Time) error {
	was := o.newest
	if was.trust.Files().Root != nil && !bytes.Equal(f.Root, was.trust.Files().Root) {
		o.roots[was.trust.RootVersion()+1] = f.Root
	}
	t, err := walk(was.trust, f, o.roots, was.trust.RootVersion()+1, f.Timestamp, now)
	if err != nil {
		return fmt.Errorf("go to what was published: %w", err)
	}
	o.newest = o.verify.published(was.trust, t, now) // the pointer that machines come to as well
	return nil
}

// verifier remembers what policy said. Judging documents is a pure function of the trust that one
// begins with, the documents and which of them have expired: so a hundred thousand machines that make
// the same step may share one answer, and only the first of them pays for signatures.
type verifier struct {
	mu    sync.Mutex
	heads map[headKey]headAnswer
	walks map[walkKey]walkAnswer
	known map[string]*docs // by the bytes of the head and the root
}

type headKey struct {
	base *policy.Trust
	d    *docs
	late int
}

type headAnswer struct {
	newer   bool
	version int64
	err     error
}

type walkKey struct {
	base, from *policy.Trust
	d          *docs
	late       int
}

type walkAnswer struct {
	d   *docs
	err error
}

func newVerifier() *verifier {
	return &verifier{heads: map[headKey]headAnswer{}, walks: map[walkKey]walkAnswer{}, known: map[string]*docs{}}
}

// late counts the expired documents of a set: the one way in which time enters a judgement.
func (d *docs) late(now time.Time) int {
	n := 0
	for i, t := range d.expires {
		if now.After(t) {
			n |= 1 << i
		}
	}
	return n
}

func (v *verifier) checkHead(t *policy.Trust, d *docs, now time.Time) headAnswer {
	k := headKey{t, d, d.late(now)}
	v.mu.Lock()
	defer v.mu.Unlock()
	a, known := v.heads[k]
	if !known {
		a.newer, a.version, a.err = t.CheckHead(d.head, now)
		v.heads[k] = a
	}
	return a
}

// walk refreshes a trust to a head with the documents that one peer has.
func (v *verifier) walk(base, from *policy.Trust, d *docs, roots map[int64][]byte, now time.Time) walkAnswer {
	k := walkKey{base, from, d, d.late(now)}
	v.mu.Lock()
	defer v.mu.Unlock()
	a, known := v.walks[k]
	if !known {
		t, err := walk(base, from.Files(), roots, from.RootVersion(), d.head, now)
		if a.err = err; err == nil {
			a.d = v.share(t)
		}
		v.walks[k] = a
	}
	return a
}

// published notes the step that the seed has just made: a machine that stands where the seed stood makes the
// same one.
func (v *verifier) published(base, t *policy.Trust, now time.Time) *docs {
	v.mu.Lock()
	defer v.mu.Unlock()
	d := v.share(t)
	v.walks[walkKey{base, d.trust, d, d.late(now)}] = walkAnswer{d: d}
	return d
}

// share gives sets of the same bytes the same pointer.
func (v *verifier) share(t *policy.Trust) *docs {
	f := t.Files()
	key := string(f.Timestamp) + "\n" + string(f.Root)
	if d := v.known[key]; d != nil {
		return d
	}
	d := newDocs(t)
	v.known[key] = d
	return d
}

// errAbsent: the peer does not have a document that is needed.
var errAbsent = fmt.Errorf("a document is not there")

// walk refreshes a trust with the documents of files, and roots up to one version.
func walk(base *policy.Trust, files policy.Files, roots map[int64][]byte, newestRoot int64, head []byte, now time.Time) (*policy.Trust, error) {
	r := base.Refresh(head, now)
	for need, more := r.Need(); more; need, more = r.Need() {
		var b []byte
		if need.RootVersion > 0 {
			if need.RootVersion <= newestRoot {
				b = roots[need.RootVersion]
			}
		} else if b = files.Find(need.ID); b == nil {
			return nil, fmt.Errorf("%s: %w", need.Role, errAbsent)
		}
		if err := r.Supply(b); err != nil {
			return nil, err
		}
	}
	return r.Result()
}

// update is one update of the scenario.
type update struct {
	index       int
	id          policy.UpdateID
	rev         int
	desc        *policy.Descriptor
	descID      content.ID
	descBytes   int
	info        swarm.PayloadInfo
	installTime time.Duration
}

// updateOf finds an update by its payload: there are few.
func (w *World) updateOf(payload content.ID) *update {
	for _, u := range w.updates {
		if u.info.ID == payload {
			return u
		}
	}
	return nil
}

// bytesOf is the size of one chunk: the last one may be short.
func (u *update) bytesOf(index int) int64 {
	if index == u.info.Chunks-1 {
		return u.info.StoredBytes - int64(index)*int64(u.info.ChunkBytes)
	}
	return int64(u.info.ChunkBytes)
}

// paperBytes is what the descriptor and the payload map weigh.
func (u *update) paperBytes() int64 { return int64(u.descBytes + 64 + 36*u.info.Chunks) }

// addUpdate makes an update and puts it into the seed's store.
func (w *World) addUpdate(index int, spec updateSpec) error {
	size, chunkBytes := int64(spec.size.draw(w.rng)), int64(spec.chunk.draw(w.rng))
	chunks := int((size + chunkBytes - 1) / max(chunkBytes, 1))
	if size < 1 || chunkBytes < 1 || chunks > content.MaxChunks {
		return fmt.Errorf("update %s: %d bytes in chunks of %d: %w", spec.name, size, chunkBytes, ErrScenario)
	}
	name := fmt.Sprintf("%s %d %d", spec.name, size, chunkBytes)
	sum := content.Sum([]byte("plain " + name)).SHA256()
	d := &policy.Descriptor{
		Update: policy.UpdateID(spec.name), Revision: 1, Title: spec.name, Severity: "unspecified", Classification: "security",
		Installer: "file", Requires: []string{"file"}, FileName: spec.name + ".bin", Payload: content.Sum([]byte("payload " + name)),
		MapBytes: 64 + 36*chunks, PlainBytes: size, StoredBytes: size, SHA256: hex.EncodeToString(sum[:]), Removable: true,
		InstallerArgs: map[string]string{"dest": "/opt/" + spec.name},
	}
	b, err := d.Encode()
	if err != nil {
		return fmt.Errorf("update %s: %w", spec.name, err)
	}
	u := &update{
		index: index, id: d.Update, rev: 1, desc: d, descID: content.Sum(b), descBytes: len(b), installTime: spec.install,
		info: swarm.PayloadInfo{ID: d.Payload, Chunks: chunks, ChunkBytes: int(chunkBytes), StoredBytes: size},
	}
	w.updates = append(w.updates, u)
	w.byDesc[u.descID], w.byMap[d.Payload], w.byName[u.id] = u, u, u
	f := w.hq.disk.open(u)
	f.have, f.published = content.FullBits(chunks), true
	w.hq.hold(u)
	return nil
}

// approvals in the order that a manifest wants comes from Encode; edits only append.
func (w *World) approve(u *update, a policy.Approval) func(*policy.Manifest) {
	return func(m *policy.Manifest) {
		a.Update, a.Revision, a.Descriptor, a.DescriptorBytes = u.id, u.rev, u.descID, u.descBytes
		m.Approvals = slices.DeleteFunc(m.Approvals, func(o policy.Approval) bool { return o.Update == a.Update && o.Group == a.Group })
		m.Approvals = append(m.Approvals, a)
		if a.Group != policy.GroupAll && !slices.ContainsFunc(m.Groups, func(g policy.Group) bool { return g.Name == a.Group }) {
			m.Groups = append(m.Groups, policy.Group{Name: a.Group})
		}
	}
}
