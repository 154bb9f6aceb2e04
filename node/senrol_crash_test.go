package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/enrol"
)

// A crash test of enrolment: the power of one machine is cut before or after every durable change, and
// in the middle of writing it, and then the same command is given again. Whatever was cut, no token may
// let in more machines than it has uses, the same request must get the same certificate, and every
// machine must become a member in the end.

// event is one place where the power can be cut.
type event struct {
	owner string
	what  string
	done  bool
	bytes int // of the log that the change wrote; 0 before it
}

// cut says where: at which event, and for a change that is being written, after how many bytes.
type cut struct {
	event int
	torn  int // -1: between changes
}

// cutNow is what the power cut throws through the code that it stops.
type cutNow struct{ owner string }

// town is a seed and machines, each in its folder.
type town struct {
	t      *testing.T
	dir    string
	clock  *testClock
	places map[string]string // folder of each
	tokens []string
	left   []leaving

	plan   cut
	events []event
	log    []byte // the owner's write-ahead log before the change under way
	copies int
}

// leaving is a certificate that left the seed.
type leaving struct {
	token [32]byte
	kind  enrol.Kind
	peer  string
	cert  string
}

func newTown(t *testing.T, from string, plan cut) *town {
	t.Helper()
	w := &town{t: t, dir: memoryDir(t), clock: &testClock{}, places: map[string]string{}, plan: plan}
	copyFolder(t, from, w.place("seed"), nil)
	return w
}

// memoryDir is a folder in memory where the system has one: the power is cut by copying what is there, so
// a disk that really syncs only makes it slow.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "patchmesh-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (w *town) place(name string) string {
	if w.places[name] == "" {
		w.places[name] = filepath.Join(w.dir, name)
	}
	return w.places[name]
}

func copyFolder(t *testing.T, from, to string, replace map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case strings.HasSuffix(rel, "-shm"): // memory of the processes that are gone
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if r, ok := replace[rel]; ok {
			b = r
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

const walName = "state.db-wal"

// watch cuts the power of owner where the plan says.
func (w *town) watch(owner string) func(string, bool) {
	return func(what string, done bool) {
		wal, err := os.ReadFile(filepath.Join(w.place(owner), walName))
		if err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
		e := event{owner: owner, what: what, done: done}
		if done {
			e.bytes = changedBytes(w.log, wal)
		}
		before := w.log
		w.log = wal
		w.events = append(w.events, e)
		if len(w.events)-1 != w.plan.event {
			return
		}
		replace := map[string][]byte{}
		if w.plan.torn >= 0 {
			replace[walName] = torn(before, wal, w.plan.torn)
		}
		w.copies++
		to := filepath.Join(w.dir, fmt.Sprintf("%s-after-cut-%d", owner, w.copies))
		copyFolder(w.t, w.place(owner), to, replace)
		w.places[owner] = to
		panic(cutNow{owner})
	}
}

func firstChange(before, after []byte) int {
	i := 0
	for i < len(before) && i < len(after) && before[i] == after[i] {
		i++
	}
	return i
}

func changedBytes(before, after []byte) int {
	return max(len(after)-firstChange(before, after), 0)
}

// torn is the log when only the first n changed bytes had reached the disk.
func torn(before, after []byte, n int) []byte {
	at := min(firstChange(before, after)+n, len(after))
	out := bytes.Clone(after[:at])
	if at < len(before) {
		out = append(out, before[at:]...)
	}
	return out
}

// command runs until it succeeds: after a cut, the same again.
func (w *town) command(f func()) {
	w.t.Helper()
	for tries := 0; ; tries++ {
		if tries > 3 {
			w.t.Fatal("the same command did not succeed in three tries")
		}
		if !w.cutOff(f) {
			return
		}
	}
}

func (w *town) cutOff(f func()) (off bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(cutNow); !ok {
				panic(r)
			}
			off = true
		}
	}()
	f()
	return false
}

func (w *town) seed(f func(*Node)) {
	n, err := OpenOffline(w.place("seed"), w.clock.now)
	if err != nil {
		w.t.Fatal(err)
	}
	defer n.Close()
	w.log = nil
	n.db.Watch(w.watch("seed"))
	f(n)
}

// ask carries a request to the seed and its answer back.
func (w *town) ask(p *enrol.Pending) (a *enrol.Answer) {
	w.seed(func(n *Node) {
		sealed, _, err := n.seed.answer(p.Request)
		if err != nil {
			w.t.Fatal(err)
		}
		o, err := enrol.OpenRequest(n.seed.box, p.Request)
		if err != nil {
			w.t.Fatal(err)
		}
		if a, err = p.Open(sealed); err != nil {
			w.t.Fatal(err)
		}
		if a.Status == enrol.StatusMember {
			w.left = append(w.left, leaving{token: p.Token, kind: o.Kind, peer: o.Peer, cert: string(a.Cert)})
		}
	})
	return a
}

// join is the command of that name with the seed at the other end of a perfect wire.
func (w *town) join(machine, token string, hardware ...string) {
	w.t.Helper()
	w.command(func() {
		tok, err := enrol.ParseToken(token)
		if err != nil {
			w.t.Fatal(err)
		}
		if f, err := openFolder(w.place(machine), w.clock.now); err == nil { // joined before the cut: done
			f.close()
			return
		}
		f, err := newFolder(w.place(machine), w.clock.now)
		if err != nil {
			w.t.Fatal(err)
		}
		defer f.close()
		w.log = nil
		f.db.Watch(w.watch(machine))
		p, err := f.joinRequest(machine, hardware, tok)
		if err != nil {
			w.t.Fatal(err)
		}
		a := w.ask(p)
		w.log = nil
		if a.Status == enrol.StatusWaiting {
			return
		}
		if _, err := f.joined(a, tok, JoinRequest{}, ""); err != nil {
			w.t.Fatal(err)
		}
	})
}

func (w *town) acceptAll() {
	w.command(func() {
		w.seed(func(n *Node) {
			l, err := n.EnrolRequests(context.Background(), api.EnrolQuery{})
			if err != nil {
				w.t.Fatal(err)
			}
			for _, r := range l.Requests {
				if _, err := n.DecideEnrol(context.Background(), api.EnrolDecision{ID: r.ID, Accept: true}); err != nil {
					w.t.Fatal(err)
				}
			}
		})
	})
}

// renew is one attempt of a running node.
func (w *town) renew(machine string) {
	w.command(func() {
		f, err := openFolder(w.place(machine), w.clock.now)
		if err != nil {
			w.t.Fatal(err)
		}
		defer f.close()
		w.log = nil
		f.db.Watch(w.watch(machine))
		n := &Node{
			cfg: Config{DataDir: w.place(machine), Now: w.clock.now}, log: slog.New(slog.DiscardHandler), id: f.id, key: f.key,
			member: f.member, db: f.db, believer: f.believer,
		}
		n.connector = newConnector(n)
		if n.renewal, err = newRenewal(n); err != nil {
			w.t.Fatal(err)
		}
		if !n.renewal.due() { // renewed before the cut
			return
		}
		p, err := enrol.NewRenewal(n.member.Box, n.key, n.renewal.own.Serial, 0, rand.Reader)
		if err != nil {
			w.t.Fatal(err)
		}
		a := w.ask(p)
		w.log = nil
		if err := n.renewal.takeUp(a.Cert); err != nil {
			w.t.Fatal(err)
		}
	})
}

// joinBy does the same as join with a stick, three commands.
func (w *town) joinBy(machine, token string) {
	stick := filepath.Join(w.dir, "stick")
	if err := os.MkdirAll(stick, 0o700); err != nil {
		w.t.Fatal(err)
	}
	join := func() {
		w.command(func() {
			if f, err := openFolder(w.place(machine), w.clock.now); err == nil {
				f.close()
				return
			}
			tok, err := enrol.ParseToken(token)
			if err != nil {
				w.t.Fatal(err)
			}
			f, err := newFolder(w.place(machine), w.clock.now)
			if err != nil {
				w.t.Fatal(err)
			}
			defer f.close()
			w.log = nil
			f.db.Watch(w.watch(machine))
			p, err := f.joinRequest(machine, nil, tok)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := f.joinVia(JoinRequest{Via: stick, Name: machine}, tok, p); err != nil {
				w.t.Fatal(err)
			}
		})
	}
	join()
	w.command(func() {
		w.seed(func(n *Node) {
			if _, err := AnswerStick(context.Background(), n, stick); err != nil {
				w.t.Fatal(err)
			}
		})
	})
	join()
}

// stories are what machines and admins do; each is run once for every place where it can be cut.
var stories = map[string]struct {
	invite api.InviteRequest
	tell   func(w *town)
	uses   int // that must have been taken
}{
	"join":              {api.InviteRequest{}, func(w *town) { w.join("a", w.tokens[0]) }, 1},
	"two on one token":  {api.InviteRequest{Uses: 2}, func(w *town) { w.join("a", w.tokens[0]); w.join("b", w.tokens[0]) }, 2},
	"admin's word":      {api.InviteRequest{ApproveEach: true}, func(w *town) { w.join("a", w.tokens[0]); w.acceptAll(); w.join("a", w.tokens[0]) }, 1},
	"stick":             {api.InviteRequest{}, func(w *town) { w.joinBy("a", w.tokens[0]) }, 1},
	"set up anew":       {api.InviteRequest{Uses: 2}, tellReimaged, 2},
	"renewal":           {api.InviteRequest{}, func(w *town) { w.join("a", w.tokens[0]); w.clock.forward(certLife * 6 / 10); w.renew("a") }, 1},
	"off for 100 days":  {api.InviteRequest{}, func(w *town) { w.join("a", w.tokens[0]); w.clock.forward(100 * 24 * time.Hour); w.renew("a") }, 1},
	"lost after expiry": {api.InviteRequest{ApproveEach: true}, tellLate, 1},
}

func tellReimaged(w *town) {
	w.join("a", w.tokens[0], "uuid:x")
	w.clock.forward(10 * time.Minute)
	w.places["a"] = filepath.Join(w.dir, "a-anew")
	w.join("a", w.tokens[0], "uuid:x")
}

func tellLate(w *town) {
	w.join("a", w.tokens[0])
	w.clock.forward(48 * time.Hour) // the token has expired; the machine asked in time
	w.acceptAll()
	w.join("a", w.tokens[0])
}

// run tells one story with one cut and judges how it ended.
func runStory(t *testing.T, from, token, name string, plan cut) []event {
	t.Helper()
	w := newTown(t, from, plan)
	defer os.RemoveAll(w.dir)
	w.tokens = []string{token}
	stories[name].tell(w)
	w.judge(stories[name].uses)
	if t.Failed() {
		t.Fatalf("%s, cut at event %d (%+v), torn %d", name, plan.event, w.events[max(plan.event, 0)], plan.torn)
	}
	return w.events
}

func (w *town) judge(uses int) {
	w.t.Helper()
	tok, err := enrol.ParseToken(w.tokens[0])
	if err != nil {
		w.t.Fatal(err)
	}
	certs := map[string]string{}
	peers := map[string]bool{}
	for _, l := range w.left {
		key := string(l.kind) + l.peer
		if was, ok := certs[key]; ok && was != l.cert {
			w.t.Errorf("%s of %s was answered with two certificates", l.kind, l.peer)
		}
		certs[key] = l.cert
		peers[l.peer] = true
	}
	w.plan.event = -1
	w.seed(func(n *Node) {
		row, err := n.db.Token(tok.Hash())
		members, merr := n.db.Members()
		if err != nil || merr != nil {
			w.t.Fatal(err, merr)
		}
		if row.UsesLeft != 0 || len(members) != uses {
			w.t.Errorf("%d uses are left and %d machines are members, want 0 and %d", row.UsesLeft, len(members), uses)
		}
		serials := map[uint64]bool{}
		for _, m := range members {
			if serials[m.Serial] {
				w.t.Errorf("serial %d was given twice", m.Serial)
			}
			serials[m.Serial] = true
		}
	})
	f, err := openFolder(w.place("a"), w.clock.now)
	if err != nil {
		w.t.Errorf("the machine is stranded: %v", err)
		return
	}
	defer f.close()
	issuers, err := rosterKeys(f.believer.current().Roster())
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := enrol.Check(f.member.Cert, issuers, f.id, w.clock.now())
	if err != nil {
		w.t.Errorf("the machine's certificate: %v", err)
	}
	w.seed(func(n *Node) {
		if m, err := n.db.Member(f.id); err != nil || m.Serial != c.Serial {
			w.t.Errorf("the machine has serial %d, the books say %+v, %v", c.Serial, m, err)
		}
	})
	if err := w.thief(tok); err != enrol.CodeSpent && err != enrol.CodeExpired {
		w.t.Errorf("another machine with the same token gets %q", err)
	}
}

// thief tries the token with a key of its own.
func (w *town) thief(tok enrol.Token) enrol.Code {
	dir := filepath.Join(w.dir, "thief")
	f, err := newFolder(dir, w.clock.now)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.close()
	p, err := enrol.NewRequest(tok, f.key, "thief", nil, rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.ask(p).Code
}

func TestSEnrolNoCutSpendsATokenTwiceOrStrandsAMachine(t *testing.T) {
	const sector = 512
	cuts := map[string][]cut{}
	froms, tokens := map[string]string{}, map[string]string{}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(stories)) {
		s := stories[name]
		b := newBureau(t)
		tokens[name] = b.invite(s.invite)
		b.node.Close()
		froms[name] = b.path("seed")
		for i, e := range runStory(t, froms[name], tokens[name], name, cut{-1, -1}) {
			cuts[name] = append(cuts[name], cut{i, -1})
			for at := 0; at < e.bytes; at += sector {
				cuts[name] = append(cuts[name], cut{i, at})
			}
		}
		total += len(cuts[name])
	}
	want, rng := soak(24, total), mrand.New(mrand.NewPCG(1, 2))
	if total < 1000 {
		t.Errorf("%d crash points, the promise is 1000", total)
	}
	ran := 0
	for _, name := range slices.Sorted(maps.Keys(cuts)) {
		all := cuts[name]
		n := max(want*len(all)/total, 1)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		t.Run(name, func(t *testing.T) {
			for _, c := range all[:n] {
				runStory(t, froms[name], tokens[name], name, c)
				ran++
			}
		})
	}
	t.Logf("%d of %d crash points", ran, total)
}
