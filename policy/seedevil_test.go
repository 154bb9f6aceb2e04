package policy

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// S-SEEDEVIL: the seed process is replaced by an attacker who holds every online key, the database
// with all old documents and drafts, and the machine's ear. Approver and root keys are elsewhere. In
// each run he offers a machine mixtures of everything he can make; the machine is policy.Trust with
// the planner, which is all that stands between a document and an install.

// devil is the attacker with his loot.
type devil struct {
	t   *testing.T
	rng *rand.Rand
	m   *mesh // the honest mesh, whose approvers do not know

	history []Files // every honest publication, oldest first
	roots   [][]byte
	drafts  []*Draft // pending ones with too few signatures

	manifests map[string]uint64          // honestly signed main manifests and their epochs
	documents map[string]map[string]bool // honestly signed documents by role
}

func TestSeedDevilInstallsNothing(t *testing.T) {
	runs := soak(15, 1000)
	offers, taken := 0, 0
	for seed := range runs {
		d := newDevil(t, uint64(seed))
		o, a := d.run(uint64(seed))
		offers, taken = offers+o, taken+a
		if t.Failed() {
			t.Fatalf("run with seed %d", seed)
		}
	}
	t.Logf("%d runs, %d offers, %d taken up (all of them honest content), 0 installs, 0 rollbacks", runs, offers, taken)
	if taken == 0 {
		t.Fatal("no offer was ever taken up: the attacker is too clumsy to show anything")
	}
}

// newDevil lives through an honest history and keeps all of it.
func newDevil(t *testing.T, seed uint64) *devil {
	d := &devil{t: t, rng: rand.New(rand.NewPCG(seed, 1)), manifests: map[string]uint64{}, documents: map[string]map[string]bool{}}
	d.m = newMesh(t, "acme", 2, 3)
	d.note(d.m.trust.Files())
	keys := []Signer{key(t, "canary 0"), key(t, "canary 1")}
	d.note(d.m.grant(t0, Delegation{Role: "canary", Groups: []string{"canary"}, Actions: []string{"install", "remove", MayHold}}, 1, keys[0]))
	for i := range 4 + d.rng.IntN(6) {
		now := t0.Add(time.Duration(i) * time.Hour)
		update := fmt.Sprintf("good%d", i)
		role, _ := d.m.trust.role("canary")
		switch n := d.rng.IntN(10); {
		case n < 3:
			d.note(d.m.mustNext(now, func(m *Manifest) { m.Approvals = append(m.Approvals, approval(update, GroupAll, ActionInstall)) }))
		case n < 4:
			d.note(d.m.mustNext(now, func(m *Manifest) { m.Approvals = m.Approvals[:len(m.Approvals)/2] }))
		case n < 5:
			d.note(d.m.mustNext(now, hold("h-"+update)))
		case n < 6 && role.Role != "":
			if f, err := d.m.regrant(now, nil, []string{"canary"}); err == nil {
				d.note(f)
			}
		case n < 7:
			keys[0], keys[1] = keys[1], keys[0]
			d.note(d.m.grant(now, canaryLimits(), 1, keys[0]))
		case role.Role != "":
			d.note(d.m.mustRole(now, "canary", func(rm *RoleManifest) {
				if d.rng.IntN(3) == 0 {
					rm.Approvals = []Approval{}
				}
				approveRole(update, "canary", ActionInstall)(rm)
				holdRole("canary.h-"+update, "canary")(rm)
			}, keys[0]))
		}
	}
	d.steal()
	return d
}

// note remembers an honest publication: for the attacker to replay, and for the test to judge by.
func (d *devil) note(f Files) {
	d.history = append(d.history, f)
	d.roots = append(d.roots, f.Root)
	m, err := DecodeManifest(f.Manifest)
	if err != nil {
		d.t.Fatal(err)
	}
	d.manifests[string(f.Manifest)] = m.Epoch
	roles, err := decodeDelegated(f.Delegated)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range roles {
		if d.documents[r.Role] == nil {
			d.documents[r.Role] = map[string]bool{}
		}
		d.documents[r.Role][string(r.Document)] = true
	}
}

// steal takes what lies in the seed's database: drafts that one approver of two has signed.
func (d *devil) steal() {
	for i := range 3 {
		man, err := DecodeManifest(d.m.trust.Files().Manifest)
		if err != nil {
			d.t.Fatal(err)
		}
		man.Epoch += uint64(1 + i)
		man.Approvals = append(man.Approvals, approval(fmt.Sprintf("pending%d", i), GroupAll, ActionInstall))
		draft, err := NewDraft(d.m.trust, man, t0)
		if err != nil {
			d.t.Fatal(err)
		}
		if err := draft.Sign(d.m.keys.Approvers[i]); err != nil {
			d.t.Fatal(err)
		}
		d.drafts = append(d.drafts, draft)
	}
}

func (d *devil) any() Files { return d.history[d.rng.IntN(len(d.history))] }

// run lets the attacker try against one machine that begins somewhere in history.
func (d *devil) run(seed uint64) (offers, taken int) {
	victim := d.victim()
	for range 40 {
		now := t0.Add(time.Duration(d.rng.IntN(20*24)) * time.Hour)
		evil, root := d.make(victim, now)
		offers++
		next, err := d.offer(victim, evil, root, now)
		if err != nil {
			continue
		}
		taken++
		d.judge(victim, next, now)
		victim = next
		if d.rng.IntN(4) == 0 { // a restart
			if victim, err = OpenTrust(next.Files(), now); err != nil {
				d.t.Fatalf("seed %d: what was adopted does not open again: %v", seed, err)
			}
			d.judge(next, victim, now)
		}
	}
	return offers, taken
}

func (d *devil) victim() *Trust {
	if d.rng.IntN(3) == 0 {
		fresh, err := NewTrust(d.history[0].Root)
		if err != nil {
			d.t.Fatal(err)
		}
		return fresh
	}
	return d.m.open(d.any())
}

// offer is what a node does with news.
func (d *devil) offer(victim *Trust, f Files, root []byte, now time.Time) (*Trust, error) {
	if newer, _, err := victim.CheckHead(f.Timestamp, now); err != nil || !newer {
		return nil, errors.Join(err, ErrRollback)
	}
	r := victim.Refresh(f.Timestamp, now)
	for need, more := r.Need(); more; need, more = r.Need() {
		b := f.Find(need.ID)
		if need.RootVersion > 0 {
			b, root = root, nil
		}
		if err := r.Supply(b); err != nil {
			return nil, err
		}
	}
	return r.Result()
}

// make mixes documents of all kinds and signs what online keys can sign.
func (d *devil) make(victim *Trust, now time.Time) (Files, []byte) {
	f := d.any()
	if d.rng.IntN(2) == 0 {
		f = d.history[len(d.history)-1]
	}
	other := d.any()
	var root []byte
	for range 1 + d.rng.IntN(3) {
		switch d.rng.IntN(9) {
		case 0:
			f.Targets, f.Manifest = other.Targets, other.Manifest
		case 1:
			f.Manifest = d.evilManifest(f.Manifest)
		case 2:
			f.Targets, f.Manifest = d.evilTargets(f, now)
		case 3:
			draft := d.drafts[d.rng.IntN(len(d.drafts))]
			b, err := draft.targets.ToBytes(false)
			if err != nil {
				d.t.Fatal(err)
			}
			f.Targets, f.Manifest = b, draft.manifest
		case 4, 5:
			f.Delegated = other.Delegated
		case 6:
			f.Delegated = d.evilRoles(f, victim, now)
		case 7:
			f.RosterRole, f.Roster = d.evilRoster(f, now)
		case 8:
			root = d.evilRoot(now)
		}
	}
	return d.sign(f, victim, now), root
}

func (d *devil) evilManifest(b []byte) []byte {
	m, err := DecodeManifest(b)
	if err != nil {
		return b
	}
	m.Approvals, m.Holds = append(m.Approvals, approval("evil", GroupAll, ActionInstall)), []Hold{}
	if d.rng.IntN(2) == 0 {
		m.Epoch += uint64(d.rng.IntN(5))
	}
	out, err := m.Encode()
	if err != nil {
		return b
	}
	return out
}

// loot are the keys that the attacker can sign with.
func (d *devil) loot() []Signer {
	o := d.m.keys.Online
	return []Signer{o.Timestamp, o.Snapshot, o.Roster, key(d.t, "the devil's own")}
}

// evilTargets are signed by what he has, sometimes beside the one approver's signature of a draft.
func (d *devil) evilTargets(f Files, now time.Time) ([]byte, []byte) {
	manifest := d.evilManifest(f.Manifest)
	m, err := DecodeManifest(manifest)
	if err != nil {
		return f.Targets, f.Manifest
	}
	t := metadata.Targets(expiry(now, 30*day))
	t.Signed.Version = int64(m.Epoch)
	t.Signed.Targets[ManifestPath] = targetFile(manifest)
	t.Signed.Delegations = cloneDelegations(d.m.trust.delegations())
	if d.rng.IntN(2) == 0 && len(t.Signed.Delegations.Roles) > 1 {
		k := d.loot()[3]
		t.Signed.Delegations.Keys[k.id] = k.key
		t.Signed.Delegations.Roles[1].KeyIDs = []string{k.id}
	}
	b := signed(d.t, t, d.loot()...)
	if d.rng.IntN(2) == 0 {
		again := reparse[metadata.TargetsType](d.t, b)
		again.Signatures = append(again.Signatures, d.drafts[0].targets.Signatures...)
		if b, err = again.ToBytes(false); err != nil {
			d.t.Fatal(err)
		}
	}
	return b, manifest
}

// evilRoles replaces the document of a role by one of his own making.
func (d *devil) evilRoles(f Files, victim *Trust, now time.Time) []byte {
	serial, granted := uint64(1+d.rng.IntN(12)), uint64(1+d.rng.IntN(6))
	if r, ok := victim.role("canary"); ok && d.rng.IntN(2) == 0 {
		serial, granted = r.Serial+uint64(d.rng.IntN(3)), r.Granted
	}
	rm := &RoleManifest{Org: "acme", Role: "canary", Granted: granted, Serial: max(serial, 1), IssuedAt: now, Approvals: []Approval{approval("evil", "canary", ActionInstall)}, Holds: []Hold{}}
	file := signRole(d.t, rm, expiry(now, 30*day), d.loot()...)
	if d.rng.IntN(4) == 0 {
		file.Signed = []byte("{}")
	}
	b := encodeDelegated([]delegatedFile{file})
	if d.rng.IntN(5) == 0 {
		return nil
	}
	return b
}

// evilRoster locks everybody out, moves the seeds, changes enrolment keys: what the roster key may.
func (d *devil) evilRoster(f Files, now time.Time) ([]byte, []byte) {
	r, err := DecodeRoster(f.Roster)
	if err != nil {
		return f.RosterRole, f.Roster
	}
	r.Serial += uint64(d.rng.IntN(4))
	r.EnrolmentKeys = []string{pub("the devil's enrolment")}
	r.Revoked = []Revocation{{Peer: "everybody", At: now, Until: now.Add(day)}}
	doc, err := r.Encode()
	if err != nil {
		d.t.Fatal(err)
	}
	role := metadata.Targets(expiry(now, 30*day))
	role.Signed.Version = int64(r.Serial)
	role.Signed.Targets[RosterPath] = targetFile(doc)
	if d.rng.IntN(2) == 0 { // the roster role tries to speak for others
		role.Signed.Targets[ManifestPath] = targetFile(d.evilManifest(f.Manifest))
		role.Signed.Targets[RolePath("canary")] = targetFile(d.evilManifest(f.Manifest))
	}
	return signed(d.t, role, d.m.keys.Online.Roster), doc
}

// evilRoot is a root of his own keys.
func (d *devil) evilRoot(now time.Time) []byte {
	k := d.m.keys
	own := key(d.t, "the devil's own")
	k.Root, k.Approvers, k.Threshold = []Signer{own}, []Signer{own}, 1
	root, err := newRoot("acme", d.m.trust.RootVersion()+1, k, now)
	if err != nil {
		d.t.Fatal(err)
	}
	return signed(d.t, root, append(d.loot(), own)...)
}

// sign makes a snapshot and a timestamp over a mixture, with versions as he likes.
func (d *devil) sign(f Files, victim *Trust, now time.Time) Files {
	s := metadata.Snapshot(expiry(now, 14*day))
	s.Signed.Version = d.versionNear(snapshotVersion(victim))
	s.Signed.Meta = map[string]*metadata.MetaFiles{
		targetsFile: metaFile(d.lie(versionOf(f.Targets)), f.Targets), rosterFile: metaFile(d.lie(versionOf(f.RosterRole)), f.RosterRole),
	}
	if victim.tm.Snapshot != nil && d.rng.IntN(4) > 0 { // names what must go on being named
		for name, m := range victim.tm.Snapshot.Signed.Meta {
			if s.Signed.Meta[name] == nil {
				s.Signed.Meta[name] = m
			}
		}
	}
	roles, err := decodeDelegated(f.Delegated)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range roles {
		s.Signed.Meta[r.Role+".json"] = metaFile(d.lie(versionOf(r.Signed)), r.Signed)
	}
	f.Snapshot = signed(d.t, s, d.m.keys.Online.Snapshot)
	h := metadata.Timestamp(expiry(now, 7*day))
	h.Signed.Version = d.versionNear(victim.HeadVersion())
	h.Signed.Meta = map[string]*metadata.MetaFiles{snapshotFile: metaFile(s.Signed.Version, f.Snapshot)}
	f.Timestamp = signed(d.t, h, d.m.keys.Online.Timestamp)
	return f
}

func snapshotVersion(t *Trust) int64 {
	if t.tm.Snapshot == nil {
		return 0
	}
	return t.tm.Snapshot.Signed.Version
}

func (d *devil) versionNear(v int64) int64 {
	return max(1, v+1+int64(d.rng.IntN(3))-int64(d.rng.IntN(8)/7))
}

// lie sometimes states another version than the document's own.
func (d *devil) lie(v int64) int64 {
	if d.rng.IntN(8) == 0 {
		return v + int64(d.rng.IntN(5))
	}
	return v
}

// judge is the promise: nothing is in force that a threshold did not sign, and nothing goes back.
func (d *devil) judge(was, now *Trust, at time.Time) {
	d.t.Helper()
	f := now.Files()
	if _, honest := d.manifests[string(f.Manifest)]; !honest {
		d.t.Errorf("a manifest is in force that the approvers never signed")
	}
	if now.Epoch() < was.Epoch() {
		d.t.Errorf("epoch %d after %d", now.Epoch(), was.Epoch())
	}
	if !bytes.Equal(f.Root, was.Files().Root) {
		d.t.Errorf("a root of his own is in force")
	}
	for _, r := range now.Roles() {
		d.judgeRole(was, now, r)
	}
	updates := []string{"evil", "pending0", "pending1", "pending2"}
	for _, groups := range [][]string{nil, {"canary"}, {"office"}, {"canary", "office"}} {
		if v := verbs(now.Manifest(), at, groups, updates...); !slices.ContainsFunc(updates, func(u string) bool { _, there := v[u]; return there }) {
			continue
		}
		d.t.Errorf("a machine in %v plans %v", groups, verbs(now.Manifest(), at, groups, updates...))
	}
}

func (d *devil) judgeRole(was, now *Trust, r RoleState) {
	d.t.Helper()
	roles, err := decodeDelegated(now.Files().Delegated)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range roles {
		if f.Role == r.Role && r.Refused == nil && r.Document != nil && !d.documents[r.Role][string(f.Document)] {
			d.t.Errorf("a document of role %s counts that it never signed", r.Role)
		}
	}
	before, ok := was.role(r.Role)
	if ok && before.Granted == r.Granted && r.Serial < before.Serial {
		d.t.Errorf("role %s went back from %d to %d", r.Role, before.Serial, r.Serial)
	}
	if r.Serial > 0 && r.Serial < r.MinSerial {
		d.t.Errorf("role %s is at %d, the approvers had seen %d", r.Role, r.Serial, r.MinSerial)
	}
	for _, a := range now.Manifest().Approvals {
		if a.Role() == r.Role && (!slices.Contains(r.Groups, a.Group) || !slices.Contains(r.Actions, string(a.Action))) {
			d.t.Errorf("role %s decides %s for %s", r.Role, a.Action, a.Group)
		}
	}
}
