package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/keys"
	"patchmesh/policy"
)

// testClock is a clock that a test turns.
type testClock struct{ offset atomic.Int64 }

func (c *testClock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *testClock) forward(d time.Duration) { c.offset.Add(int64(d)) }

// bureau is a seed without a network: what it is given and what it says pass through the test's hands.
type bureau struct {
	t     *testing.T
	clock *testClock
	dir   string // of everything
	node  *Node
}

func newBureau(t *testing.T) *bureau {
	t.Helper()
	b := &bureau{t: t, clock: &testClock{}, dir: memoryDir(t)}
	if _, err := Found(FoundRequest{DataDir: b.path("seed"), Org: "acme", Name: "seed"}, b.clock.now); err != nil {
		t.Fatal(err)
	}
	b.open()
	return b
}

func (b *bureau) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bureau) open() {
	b.t.Helper()
	var err error
	if b.node, err = OpenOffline(b.path("seed"), b.clock.now); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.node.Close)
}

func (b *bureau) invite(r api.InviteRequest) string {
	b.t.Helper()
	inv, err := b.node.Invite(context.Background(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return inv.Token
}

// applicant is a machine of which only its key matters.
type applicant struct {
	key ed25519.PrivateKey
	id  string
}

// asks makes the request of a new machine, as join would.
func (b *bureau) asks(token, name string, hardware ...string) (applicant, *enrol.Pending) {
	b.t.Helper()
	tok, err := enrol.ParseToken(token)
	if err != nil {
		b.t.Fatal(err)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	id, err := keys.PeerID(pub)
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := enrol.NewRequest(tok, key, name, hardware, rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	return applicant{key, id}, p
}

// says gives a request to the seed and opens what comes back.
func (b *bureau) says(p *enrol.Pending) *enrol.Answer {
	b.t.Helper()
	sealed, _, err := b.node.seed.answer(p.Request)
	if err != nil {
		b.t.Fatal(err)
	}
	a, err := p.Open(sealed)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// via runs join on a machine with a folder between it and the seed.
func (b *bureau) via(machine, token string) (*Joined, error) {
	if err := os.MkdirAll(b.path("stick"), 0o700); err != nil {
		b.t.Fatal(err)
	}
	return Join(context.Background(), JoinRequest{DataDir: b.path(machine), Token: token, Name: machine, Via: b.path("stick")}, b.clock.now)
}

func (b *bureau) answerStick() *Answers {
	b.t.Helper()
	a, err := AnswerStick(context.Background(), b.node, b.path("stick"))
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func TestSEnrolAdmissionRefusesUnderSealAndSaysWhy(t *testing.T) {
	b := newBureau(t)
	cases := 0
	refused := func(what string, p *enrol.Pending, want enrol.Code) {
		t.Helper()
		cases++
		if a := b.says(p); a.Status != enrol.StatusRefused || a.Code != want || len(a.Cert)+len(a.GossipKey)+len(a.Documents) != 0 {
			t.Errorf("%s: %s %s, want refused %s", what, a.Status, a.Code, want)
		}
	}
	one := b.invite(api.InviteRequest{})
	_, p := b.asks(one, "a")
	if a := b.says(p); a.Status != enrol.StatusMember {
		t.Fatalf("an honest machine: %+v", a)
	}
	_, p = b.asks(one, "b")
	refused("a token that is used up", p, enrol.CodeSpent)

	guess, err := enrol.ParseToken(one)
	if err != nil {
		t.Fatal(err)
	}
	for i := range guess.Secret {
		g := guess
		g.Secret = slices.Clone(guess.Secret)
		g.Secret[i] ^= 1
		text, err := g.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, p = b.asks(text, "g")
		refused("a guessed secret", p, enrol.CodeUnknown)
	}
	many := b.invite(api.InviteRequest{Uses: 100, NamePattern: "till-*"})
	for _, name := range []string{
		"", " ", "..", "../till-1", "till-1/../x", "till-1 ", "till-\x00", "till-1\n", "till-\u202e1", "till-é", "till-$(reboot)",
		"<script>", "till-" + strings.Repeat("x", 59), "tilt-1", "xtill-1", "TILL-1", "seed", ".", "*", "till-*",
	} {
		_, p := b.asks(many, name)
		refused(fmt.Sprintf("the name %q", name), p, enrol.CodeName)
	}
	short := b.invite(api.InviteRequest{ExpiresIn: time.Minute})
	_, late := b.asks(short, "late")
	b.clock.forward(time.Minute)
	refused("an expired token", late, enrol.CodeExpired)

	f, _ := b.asks(many, "till-9")
	tok, _ := enrol.ParseToken(many)
	renewal, err := enrol.NewRenewal(tok.Box, f.key, 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	refused("a renewal by a stranger", renewal, enrol.CodeUnknown)

	f, p = b.asks(many, "till-1")
	if a := b.says(p); a.Status != enrol.StatusMember {
		t.Fatalf("%+v", a)
	}
	roster := *b.node.believer.current().Roster()
	roster.Revoked = []policy.Revocation{{Peer: f.id, At: b.clock.now(), Until: b.clock.now().Add(24 * time.Hour)}}
	if err := b.node.seed.renew(&roster); err != nil {
		t.Fatal(err)
	}
	refused("a revoked machine that asks again", p, enrol.CodeRevoked)
	if renewal, err = enrol.NewRenewal(tok.Box, f.key, 1, 0, rand.Reader); err != nil {
		t.Fatal(err)
	}
	refused("a revoked machine that renews", renewal, enrol.CodeRevoked)
	if cases < 55 {
		t.Errorf("%d cases", cases)
	}
}

// T26: nothing of a request gets into a certificate but the name as a label, and the key that signed.
func TestSEnrolCertificateIsTheTokensNotTheRequests(t *testing.T) {
	b := newBureau(t)
	token := b.invite(api.InviteRequest{Site: "north", Groups: []string{"tills"}})
	tok, err := enrol.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	tok.Site = "hq" // the machine may write what it likes into its copy of the token
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	f, p := b.asks(text, "seed", "uuid:x")
	a := b.says(p)
	issuers, err := rosterKeys(b.node.believer.current().Roster())
	if err != nil {
		t.Fatal(err)
	}
	c, err := enrol.Check(a.Cert, issuers, f.id, b.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	if c.Seed || c.Site != "north" || !slices.Equal(c.Groups, []string{"tills"}) || c.Org != "acme" || c.Peer != f.id || c.Name != "seed" {
		t.Errorf("%+v", c)
	}
	if life := c.NotAfter.Sub(b.clock.now()); life > certLife || life < certLife-time.Minute {
		t.Errorf("it is good for %s", life)
	}
	if b.node.isSeed(f.id) {
		t.Error("a machine named seed is taken for one")
	}
	if again := b.says(p); string(again.Cert) != string(a.Cert) {
		t.Error("the same request was answered with another certificate")
	}
	row, err := b.node.db.Member(f.id)
	if err != nil || row.Serial != c.Serial {
		t.Errorf("%+v, %v", row, err)
	}
}

func TestSEnrolTokenOfAnotherMeshOrRootIsRefused(t *testing.T) {
	b, other := newBureau(t), newBureau(t)
	ours, theirs := b.invite(api.InviteRequest{Uses: 9}), other.invite(api.InviteRequest{})
	_, p := b.asks(theirs, "a")
	if _, _, err := b.node.seed.answer(p.Request); !errors.Is(err, errNotOurs) {
		t.Errorf("a request to another seed: %v", err)
	}
	// A stick with requests to somebody else only.
	if _, err := b.via("b", theirs); err != nil {
		t.Fatal(err)
	}
	if a, err := AnswerStick(context.Background(), b.node, b.path("stick")); api.ClassOf(err) != api.ClassRefused || a.Foreign != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	// The right seed with the root of another organisation: whoever gave out the token lied about it.
	tok, err := enrol.ParseToken(ours)
	if err != nil {
		t.Fatal(err)
	}
	tok.RootDigest = content.Sum([]byte("another root"))
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.via("c", text); err != nil {
		t.Fatal(err)
	}
	b.answerStick()
	if _, err := b.via("c", text); api.ClassOf(err) != api.ClassRefused || !strings.Contains(err.Error(), "root of trust") {
		t.Errorf("wrong root: %v", err)
	}
	if _, err := openFolder(b.path("c"), b.clock.now); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("the machine has a membership all the same: %v", err)
	}
}

func TestSEnrolAdminHasTheLastWord(t *testing.T) {
	b := newBureau(t)
	token := b.invite(api.InviteRequest{Site: "north", Uses: 2, ApproveEach: true})
	f, p := b.asks(token, "till-1", "uuid:x")
	a := b.says(p)
	if a.Status != enrol.StatusWaiting || a.RequestID != enrol.RequestID(p.Token, f.id) || len(a.Cert)+len(a.GossipKey) != 0 {
		t.Fatalf("%+v", a)
	}
	b.node.Close()
	b.open() // the seed restarts
	l, err := b.node.EnrolRequests(context.Background(), api.EnrolQuery{})
	if err != nil || len(l.Requests) != 1 || l.Requests[0].ID != a.RequestID || l.Requests[0].Machine != f.id || l.Requests[0].Site != "north" {
		t.Fatalf("%+v, %v", l, err)
	}
	if b.says(p).Status != enrol.StatusWaiting {
		t.Error("a restart let it in")
	}
	decide := func(id string, accept bool) error {
		_, err := b.node.DecideEnrol(context.Background(), api.EnrolDecision{ID: id, Accept: accept})
		return err
	}
	if err := decide("ffffffffffffffff", true); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("an unknown number: %v", err)
	}
	if err := decide(a.RequestID, false); err != nil {
		t.Fatal(err)
	}
	if got := b.says(p); got.Code != enrol.CodeRejected {
		t.Errorf("after no: %+v", got)
	}
	if err := decide(a.RequestID, true); err != nil { // the admin changed his mind
		t.Fatal(err)
	}
	if got := b.says(p); got.Status != enrol.StatusMember {
		t.Errorf("after yes: %+v", got)
	}
	if err := decide(a.RequestID, false); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("no to a member: %v", err)
	}
}

func TestSEnrolReimagedMachineIsKnownAgain(t *testing.T) {
	b := newBureau(t)
	token := b.invite(api.InviteRequest{Uses: 9})
	tok, err := enrol.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	old, p := b.asks(token, "till-3", "uuid:x")
	b.says(p)
	status := func() map[string]api.Machine {
		t.Helper()
		rows, err := b.node.seed.fleet(nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]api.Machine{}
		for _, m := range rows {
			out[m.ID] = m
		}
		return out
	}
	// While it is in contact nobody takes its place: a clone, or a thief who knows the hardware.
	b.node.seed.sawMachine(old.id)
	clone, p := b.asks(token, "till-3", "uuid:x")
	b.says(p)
	if m := status()[clone.id]; m.Reason == reasonReimaged || m.Name != "till-3-2" {
		t.Errorf("the clone of a living machine: %+v", m)
	}
	if err := b.node.db.DropMember(clone.id); err != nil {
		t.Fatal(err)
	}
	b.clock.forward(10 * time.Minute)
	fresh, p := b.asks(token, "till-3", "uuid:x")
	b.says(p)
	rows := status()
	if m := rows[fresh.id]; m.Reason != reasonReimaged || m.Name != "till-3" || !strings.Contains(m.Detail, old.id) {
		t.Errorf("the machine set up anew: %+v", m)
	}
	if _, ok := rows[old.id]; ok {
		t.Error("the old row is still in the fleet")
	}
	b.node.seed.sawMachine(old.id) // somebody uses the old key
	if m, ok := status()[old.id]; !ok || m.Reason != reasonReimaged || !strings.Contains(m.Detail, "still there") {
		t.Errorf("the old key that is still in use: %+v", m)
	}
	l, err := b.node.EnrolRequests(context.Background(), api.EnrolQuery{All: true})
	if err != nil || len(l.Replaced) != 1 || l.Replaced[0].ID != old.id || l.Replaced[0].By != fresh.id || !l.Replaced[0].StillThere {
		t.Errorf("the history: %+v, %v", l, err)
	}
	renewal, err := enrol.NewRenewal(tok.Box, old.key, 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a := b.says(renewal); a.Code != enrol.CodeReplaced {
		t.Errorf("the old key renews: %+v", a)
	}
	if _, err := b.node.db.PutReport(fresh.id, 1, b.clock.now(), []byte(`{"id":"x"}`)); err != nil {
		t.Fatal(err)
	}
	if m := status()[fresh.id]; m.Reason == reasonReimaged {
		t.Error("it is still called re-imaged after its first report")
	}
}
