package trustdir

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
	"patchmesh/policy"
)

// world is what an organisation published day after day, and what thieves of its online keys can make
// of it.
type world struct {
	days      []*policy.Trust // one publication a day
	keys      []policy.OnlineKeys
	roots     [][]byte
	manifests map[string]bool // those that approvers signed
	stolen    map[[2]int]*policy.Trust
}

func newWorld(t *testing.T, days int) *world {
	o := newOrg(t)
	w := &world{manifests: map[string]bool{}, stolen: map[[2]int]*policy.Trust{}}
	for i := range days {
		now := day(i)
		switch {
		case i == 0:
		case i%13 == 0:
			o.rotate(now)
		case i%3 == 0:
			o.freshen(nil, now)
		case i%7 == 0:
			o.freshen(&policy.Roster{Org: "acme", Revoked: []policy.Revocation{{Peer: fmt.Sprint(i), At: now, Until: now.Add(time.Hour)}}}, now)
		default:
			o.approve(now)
		}
		w.days = append(w.days, o.trust)
		w.keys = append(w.keys, o.keys.Online)
		w.manifests[string(o.trust.Files().Manifest)] = true
	}
	w.roots = o.roots
	return w
}

func day(i int) time.Time { return t0.Add(time.Duration(i) * 24 * time.Hour) }

// rewound is the approvals of one day under a head that thieves of that day's online keys have signed
// later: as new as the head of another day.
func (w *world) rewound(t *testing.T, from, to int) policy.Files {
	if tr := w.stolen[[2]int{from, to}]; tr != nil {
		return tr.Files()
	}
	tr := w.days[from]
	for tr.HeadVersion() < w.days[to].HeadVersion() {
		f, err := tr.Publish(nil, nil, w.keys[from], day(to))
		if err != nil {
			t.Fatal(err)
		}
		if tr, err = policy.OpenTrust(f, t0); err != nil {
			t.Fatal(err)
		}
	}
	w.stolen[[2]int{from, to}] = tr
	return tr.Files()
}

// runAhead is a head far in front, signed with the key of its day.
func (w *world) runAhead(t *testing.T, i int) policy.Files {
	f := w.days[i].Files()
	ts, err := new(metadata.Metadata[metadata.TimestampType]).FromBytes(f.Timestamp)
	if err != nil {
		t.Fatal(err)
	}
	ts.Signed.Version += 1<<20 + 2000
	ts.ClearSignatures()
	name := "timestamp"
	if v := w.days[i].RootVersion(); v > 1 {
		name = fmt.Sprintf("timestamp %d", v)
	}
	seed := content.Sum([]byte(name)).SHA256()
	s, err := signature.LoadSigner(ed25519.NewKeyFromSeed(seed[:]), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ts.Sign(s); err != nil {
		t.Fatal(err)
	}
	if f.Timestamp, err = ts.ToBytes(false); err != nil {
		t.Fatal(err)
	}
	return f
}

// victim is one machine in one history.
type victim struct {
	t    *testing.T
	w    *world
	rng  *rand.Rand
	disk *memDisk
	dir  *Dir
	r    Recalled
	at   int // day

	must   uint64 // the epoch that the machine may not fall below
	stolen int    // the last day on which it took a head that thieves had signed; -1: never
	image  *memNode
	then   uint64 // must, when the image was taken

	harmed, thenHarmed bool // somebody has damaged both floors, and nothing was kept since
	log                []string
}

func (v *victim) failf(format string, args ...any) {
	v.t.Helper()
	v.t.Fatalf("day %d: %s\nhistory: %s", v.at, fmt.Sprintf(format, args...), strings.Join(v.log, ", "))
}

// roots are those that have been published by now.
func (v *victim) roots() [][]byte { return v.w.roots[:v.w.days[v.at].RootVersion()-1] }

func (v *victim) restart() {
	d, err := openOn("/data/trust", v.disk)
	if err != nil {
		v.failf("open: %v", err)
	}
	if v.r, err = d.Recall(v.w.days[0].Files().Root); err != nil {
		v.failf("recall: %v", err)
	}
	v.dir = d
}

// show lets somebody show the machine a set of documents, with or without newer roots.
func (v *victim) show(f policy.Files, roots [][]byte) error {
	t, err := fetch(v.r.Trust, f, roots, day(v.at))
	if err != nil {
		return err
	}
	if err := v.dir.Keep(t, at(day(v.at))); err != nil {
		return err
	}
	v.r.Trust, v.r.Lost, v.harmed = t, nil, false
	v.must = max(v.must, t.Epoch())
	return nil
}

// check asks what must hold at any moment: approvals are those that approvers signed, none are older
// than what the machine knew, and nothing is begun while it has to catch up.
func (v *victim) check() {
	t := v.r.Trust
	if t.Manifest() != nil && !v.w.manifests[string(t.Files().Manifest)] {
		v.failf("approvals are believed that nobody signed")
	}
	mayInstall := v.r.Lost == nil && t.Manifest() != nil && !t.Stale(day(v.at))
	if mayInstall && t.Epoch() < v.must {
		v.failf("epoch %d would be installed from, the machine knew %d", t.Epoch(), v.must)
	}
}

// floorsLost and setsLost are the two ways to lose memory; both together lose all of it.
func (v *victim) act(kind int) {
	newest := v.w.days[v.at]
	both := func(a, b string, how func([]byte) []byte) {
		for _, n := range []string{a, b} {
			if v.disk.find("/data/trust/"+n) != nil {
				v.disk.edit("/data/trust/"+n, how)
			}
		}
	}
	switch kind {
	case 0: // time passes, the machine hears the truth
		v.at = min(v.at+v.rng.IntN(4), len(v.w.days)-2)
		if v.stolen == v.at {
			return // it has lost all and taken the thieves' head of this very version: the next one heals
		}
		if err := v.show(v.w.days[v.at].Files(), v.roots()); err != nil {
			v.failf("the newest head was refused: %v", err)
		}
	case 1: // replay
		j := v.rng.IntN(v.at + 1)
		if err := v.show(v.w.days[j].Files(), v.roots()); err == nil && v.w.days[j].Epoch() < v.must {
			v.failf("the set of day %d was taken", j)
		}
	case 2: // stolen online keys put old approvals under a new head
		from := v.rng.IntN(v.at + 1)
		f, roots := v.w.rewound(v.t, from, v.at), v.roots()
		if v.rng.IntN(2) == 0 {
			roots = nil
		}
		err := v.show(f, roots)
		if err == nil && v.w.days[from].Epoch() < v.must {
			v.failf("the approvals of day %d were taken under a stolen head", from)
		}
		if err == nil && from < v.at {
			v.stolen = v.at
		}
	case 3: // fast-forward
		if v.r.Trust.HeadVersion() == 0 && v.dir.floor.Floor.Timestamp == 0 {
			return // a machine that knows nothing takes a first version up to 2^32
		}
		if v.r.Trust.RootVersion() < newest.RootVersion() {
			return // and so does one to which new online keys are shown just now
		}
		if err := v.show(v.w.runAhead(v.t, v.at), v.roots()); err == nil {
			v.failf("a head 2^20 versions ahead was taken")
		}
	case 4:
		v.forgetWithoutFloors()
	case 5: // the power fails while the newest set is kept
		v.disk.step, v.disk.cutAt = 0, 1+v.rng.IntN(60)
		was := v.must
		err := v.show(newest.Files(), v.roots())
		if v.must = was; err == nil {
			v.must = max(was, newest.Epoch())
		}
		v.disk.powerCut(v.rng)
		v.forgetWithoutFloors()
	case 6: // the disk reports an error
		v.disk.step, v.disk.failAt, v.disk.err = 0, 1+v.rng.IntN(60), syscall.EIO
		_ = v.show(newest.Files(), v.roots())
		v.disk.failAt = 0
	case 7:
		v.image, v.then, v.thenHarmed = v.disk.image(), v.must, v.harmed
	case 8: // the whole disk goes back
		if v.image != nil {
			v.disk.restore(v.image)
			v.must, v.harmed = v.then, v.thenHarmed
			v.forgetWithoutFloors()
		}
	case 9: // the documents go back, the floors stay
		v.backdate()
	case 10: // floors
		v.harmed = true
		both("floor", "floor.copy", [](func([]byte) []byte){flipped, gone}[v.rng.IntN(2)])
		v.forgetWithoutFloors()
	case 11: // documents
		both("current", "current.copy", [](func([]byte) []byte){flipped, gone}[v.rng.IntN(2)])
		v.forgetWithoutFloors()
	}
}

func (v *victim) backdate() {
	if v.image == nil {
		return
	}
	trust := v.disk.find("/data/trust")
	old := v.image.clone().children["data"].children["trust"]
	for name, n := range old.children {
		if !strings.HasPrefix(name, "floor") {
			trust.children[name] = n
		}
	}
	trust.durable, trust.pending = trust.children, nil
	v.forgetWithoutFloors()
}

// forgetWithoutFloors: with both floors lost, what the signed documents at hand state is the least.
func (v *victim) forgetWithoutFloors() {
	v.restart()
	if v.dir.floor.Number == 0 {
		if !v.harmed {
			v.failf("the floors are lost, and nobody has touched them")
		}
		v.must = min(v.must, v.r.Trust.Epoch())
	}
}

// S-ROLL: histories of replays, stolen online keys, fast-forward, restarts, power cuts, disk errors,
// old images and lost files. The machine never installs from approvals older than what it knew, and
// the next honest head heals it.
func TestRollbackHistories(t *testing.T) {
	w := newWorld(t, 40)
	histories := soak(30, 2000)
	names := strings.Fields("truth replay stolen-keys fast-forward restart power-cut disk-error image restore backdate lose-floors lose-documents")
	acts := make([]int, len(names))
	for seed := range histories {
		rng := rand.New(rand.NewPCG(uint64(seed), 7))
		start := rng.IntN(10)
		disk, dir := newMachine(t, w.days[start])
		v := &victim{t: t, w: w, rng: rng, disk: disk, dir: dir, at: start, stolen: -1, must: w.days[start].Epoch()}
		v.r.Trust = w.days[start]
		v.log = []string{fmt.Sprintf("seed %d", seed)}
		for range 14 {
			kind := rng.IntN(len(names))
			acts[kind]++
			v.log = append(v.log, names[kind])
			v.act(kind)
			v.check()
		}
		v.at = len(w.days) - 1
		if err := v.show(w.days[v.at].Files(), w.roots); err != nil {
			v.failf("the newest head does not heal: %v", err)
		}
		v.restart()
		if v.r.Lost != nil || v.r.Trust.HeadVersion() != w.days[v.at].HeadVersion() {
			v.failf("not healed: head %d, %v", v.r.Trust.HeadVersion(), v.r.Lost)
		}
	}
	t.Logf("%d histories, acts %v of %v", histories, acts, names)
}

// The floor frees what a new root frees, and nothing else.
func TestFloorFollowsARotationOfOnlineKeys(t *testing.T) {
	o := newOrg(t)
	seed := o.trust
	thief := o.trust
	for range 3 {
		f, err := thief.Publish(nil, nil, o.keys.Online, t0)
		if err != nil {
			t.Fatal(err)
		}
		if thief, err = policy.OpenTrust(f, t0); err != nil {
			t.Fatal(err)
		}
	}
	_, d := newMachine(t, thief)
	if err := d.Keep(seed, at(t0)); !errors.Is(err, policy.ErrRollback) {
		t.Fatalf("%v, want ErrRollback", err)
	}
	if err := d.Keep(o.rotate(t0), at(t0)); err != nil {
		t.Fatalf("after the rotation: %v", err)
	}
	if d.floor.Floor.Timestamp != 2 {
		t.Fatalf("the floor is still %d", d.floor.Floor.Timestamp)
	}
	if err := d.Keep(thief, at(t0)); !errors.Is(err, policy.ErrRollback) {
		t.Fatalf("the thief's set under the old root: %v", err)
	}
}
