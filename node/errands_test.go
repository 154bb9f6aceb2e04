package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/policy"
)

// round is a mesh whose sites see the seed only by a folder that somebody carries.
type round struct {
	*mesh
	clock *testClock
	stick string
}

func newRound(t *testing.T) *round {
	t.Helper()
	m, clock := clockMesh(t)
	return &round{m, clock, t.TempDir()}
}

func (r *round) at(name, site string, peers ...string) *running {
	r.t.Helper()
	r.offline(name, site).stop()
	return r.again(name, peers...)
}

func (r *round) again(name string, peers ...string) *running {
	r.t.Helper()
	return r.run(name, Config{Egress: EgressNo, Peers: peers, Now: r.clock.now})
}

// outgoing packs for a site.
func (r *round) outgoing(site string) *Exported {
	r.t.Helper()
	x, err := ExportBundle(context.Background(), r.seed.socket(r.t), ExportRequest{Dir: r.stick, Site: site, Now: r.clock.now()})
	if err != nil {
		r.t.Fatal(err)
	}
	return x
}

// visit imports at a machine and takes the way back along.
func (r *round) visit(at *running) (*ImportedBundle, *ReturnedBundle) {
	r.t.Helper()
	i, err := ImportBundle(context.Background(), at.socket(r.t), r.stick, r.clock.now())
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := ExportReturn(context.Background(), at.socket(r.t), r.stick)
	if err != nil {
		r.t.Fatal(err)
	}
	return i, b
}

// home imports what came back.
func (r *round) home() *ImportedBundle {
	r.t.Helper()
	at := r.seed.socket(r.t)
	i, err := ImportReturns(context.Background(), at, at.(api.Service), r.stick)
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

const days = 24 * time.Hour

// The stick renews all machines of the site, also those that have never seen it, and one that was off
// until its membership had lapsed.
func TestStickRenewsTheMembershipsOfAllMachinesOfASite(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	b := r.at("b", "north", a.addr)
	c := r.at("c", "north", a.addr)
	until(t, "the site to be connected", func() bool { return a.sees(b.id) && a.sees(c.id) })
	first := a.ends(t)
	r.clock.forward(2 * days)
	r.outgoing("north")
	if i, back := r.visit(a); !i.Complete || back.Renewals != 3 {
		t.Fatalf("first visit: %+v, %+v", i, back)
	}
	c.stop()
	if in := r.home(); len(in.Returns) != 1 || in.Returns[0].Renewals != 3 || in.Returns[0].Refused != 0 {
		t.Fatalf("at home: %+v", in.Returns[0])
	}
	r.clock.forward(4 * days)
	r.outgoing("north")
	if i, _ := r.visit(a); i.Renewals == nil || !i.Renewals.Renewed || i.Renewals.Answers != 3 {
		t.Fatalf("second visit: %+v", i.Renewals)
	}
	until(t, "b to be renewed, too", func() bool { return b.ends(t).After(first.Add(5 * days)) })
	r.clock.forward(3 * days) // all first certificates have ended
	until(t, "a and b to be together with the new ones", func() bool { return a.sees(b.id) && b.sees(a.id) })
	c = r.again("c", a.addr)
	until(t, "c to come back with the certificate that waited for it", func() bool {
		r.clock.forward(10 * time.Second)
		return c.sees(a.id) && c.ends(t).After(r.clock.now())
	})
	r.noSeed(a, b, c)
}

// A machine that nobody gives a session any more, and that had no request under way, leaves one with its
// neighbours all the same.
func TestLapsedMachineLeavesItsRequestForTheNextStick(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	b := r.at("b", "north", a.addr)
	until(t, "the site to be connected", func() bool { return a.sees(b.id) })
	b.stop()
	r.clock.forward(4 * days)
	r.outgoing("north")
	r.visit(a)
	r.home()
	r.clock.forward(2 * days)
	r.outgoing("north")
	r.visit(a)
	r.clock.forward(2 * days) // b has lapsed
	b = r.again("b", a.addr)
	until(t, "a to hold b's request", func() bool {
		r.clock.forward(10 * time.Second)
		own, err := b.errands.own()
		return err == nil && slices.ContainsFunc(a.errands.book().Strays, func(s stray) bool { return string(s.Request) == string(own.Request) })
	})
	if a.sees(b.id) {
		t.Error("a lapsed machine has a session")
	}
	if _, back := r.visit(a); back.Renewals < 2 {
		t.Fatalf("%+v", back)
	}
	r.home()
	r.outgoing("north")
	r.visit(a)
	until(t, "b to come back", func() bool {
		r.clock.forward(10 * time.Second)
		return b.sees(a.id) && b.ends(t).After(r.clock.now())
	})
}

func (r *round) approveAny() {
	r.t.Helper()
	r.token(1) // makes the group
	r.file("u1", static(1<<20))
	r.approve("u1")
}

func (r *round) budget(site string, days int) {
	r.t.Helper()
	if v, err := r.seed.Site(context.Background(), api.SiteRequest{Site: site, StaleDays: days}); err != nil || v.StaleDays != max(days, 0) {
		r.t.Fatalf("%+v, %v", v, err)
	}
}

// Where nobody comes by for weeks the site goes on within its budget, and not a day longer; and nowhere
// else.
func TestStalenessBudgetKeepsASiteTogetherAndNoLonger(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	b := r.at("b", "north", a.addr)
	s := r.at("s", "south")
	r.budget("north", 30)
	r.outgoing("north")
	r.visit(a)
	south := t.TempDir() // the other site knows of the budget, which is not its own
	r.stick, south = south, r.stick
	r.outgoing("south")
	r.visit(s)
	r.stick = south
	until(t, "b to know of the budget", func() bool { return b.believer.current().Roster().SiteStale("north") == 30*days })
	end := a.ends(t)
	r.clock.forward(7*days + 2*time.Hour)
	thief := b.hello().Cert // somebody takes b away
	for _, x := range []*running{a, s, r.seed} {
		_, err := x.checkCert(b.id, thief)
		if own := x == a; (err == nil) != own {
			t.Errorf("%s of %s, a day after the end: %v", x.member.Name, x.member.Site, err)
		}
	}
	a.stop()
	a = r.again("a", b.addr) // no session is left from before
	until(t, "both to be together after the end of their certificates", func() bool { return a.sees(b.id) && b.sees(a.id) })
	info, err := a.Node.Node(context.Background())
	if err != nil || info.Membership.Lapsed || !info.Membership.TakenUntil.Equal(end.Add(30*days)) {
		t.Errorf("%+v, %v", info.Membership, err)
	}
	r.clock.forward(30*days - 3*time.Hour)
	if _, err := a.checkCert(b.id, thief); err != nil {
		t.Errorf("an hour before the end of the budget: %v", err)
	}
	r.clock.forward(2*time.Hour + lapseGrace)
	until(t, "the session to end with the budget", func() bool { return !a.sees(b.id) })
	if _, err := a.checkCert(b.id, thief); !errors.Is(err, enrol.ErrExpired) {
		t.Errorf("after the end of the budget: %v", err)
	}
}

// The budget is no shelter: a revocation on the next stick ends it.
func TestRevocationOnTheStickWinsOverTheBudget(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	b := r.at("b", "north", a.addr)
	r.budget("north", 60)
	r.outgoing("north")
	r.visit(a)
	r.home()
	until(t, "b to know of the budget", func() bool { return b.believer.current().Roster().SiteStale("north") > 0 })
	r.clock.forward(12 * days)
	until(t, "the site to be together", func() bool { return a.sees(b.id) })
	if _, err := r.seed.Revoke(context.Background(), api.RevokeRequest{Machine: b.id, Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	r.outgoing("north")
	if i, _ := r.visit(a); !i.Renewals.Renewed {
		t.Fatalf("%+v", i.Renewals)
	}
	until(t, "the machine that was locked out to be cut", func() bool { return !a.sees(b.id) })
	if _, err := a.checkCert(b.id, b.hello().Cert); err == nil {
		t.Error("its certificate still counts")
	}
	if _, err := b.renewal.fromErrand(); err != "" && !strings.Contains(err, "refused") {
		t.Errorf("b was renewed all the same: %v", err)
	}
	if ok, _ := b.renewal.fromErrand(); ok {
		t.Error("the list renews a machine that was locked out")
	}
}

func TestListsOfRenewalsThatAreNotTheSeedsRenewNothing(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	r.at("s", "south")
	other := newMesh(t)
	r.outgoing("north")
	r.visit(a)
	r.home()
	r.clock.forward(4 * days)
	list, err := r.seed.GiveAnswers(context.Background(), api.CargoQuery{Site: "north"})
	if err != nil || list == nil {
		t.Fatal(err)
	}
	sign := func(key ed25519.PrivateKey, change func(*answerList)) []byte {
		t.Helper()
		l, err := openAnswers(list, r.seed.believer, membership{Org: r.seed.member.Org, Site: "north"}, r.clock.now())
		if err == nil {
			change(l)
			var b []byte
			if b, err = l.sign(key); err == nil {
				return b
			}
		}
		t.Fatal(err)
		return nil
	}
	same := func(*answerList) {}
	end := a.ends(t)
	for name, b := range map[string][]byte{
		"another organisation's key": sign(issuerKey(t, other.seed.seed), same),
		"a machine's own key":        sign(a.key, same),
		"changed":                    []byte(strings.Replace(string(list), `"body":"ey`, `"body":"eY`, 1)),
		"nothing":                    nil,
		"no list":                    []byte("{}"),
		"too large":                  make([]byte, maxAnswersBytes+1),
		"from the far future":        sign(issuerKey(t, r.seed.seed), func(l *answerList) { l.At = l.At.Add(1000 * days) }),
		"another organisation's":     sign(issuerKey(t, r.seed.seed), func(l *answerList) { l.Org = "other" }),
	} {
		out, err := a.TakeAnswers(context.Background(), b)
		if err == nil && (out.Renewed || out.Newer) || err != nil && api.ClassOf(err) != api.ClassRefused || !a.ends(t).Equal(end) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	out, err := a.TakeAnswers(context.Background(), sign(issuerKey(t, r.seed.seed), func(l *answerList) { l.Site = "south" }))
	if err != nil || out.Newer || out.Renewed || out.Detail == "" {
		t.Errorf("the list of another site: %+v, %v", out, err)
	}
	// The right list with answers that are not for this machine: they do not open.
	out, err = a.TakeAnswers(context.Background(), sign(issuerKey(t, r.seed.seed), func(l *answerList) {
		l.Answers[0].Answer = append([]byte(nil), l.Answers[0].Answer...)
		l.Answers[0].Answer[40] ^= 1
	}))
	if err != nil || out.Renewed || !a.ends(t).Equal(end) {
		t.Errorf("a changed answer: %+v, %v", out, err)
	}
	r.clock.forward(time.Second)
	fresh, err := r.seed.GiveAnswers(context.Background(), api.CargoQuery{Site: "north"})
	if out, terr := a.TakeAnswers(context.Background(), fresh); err != nil || terr != nil || !out.Renewed {
		t.Fatalf("the seed's list: %+v, %v, %v", out, err, terr)
	}
	if out, err := a.TakeAnswers(context.Background(), list); err != nil || out.Newer {
		t.Errorf("the older list again: %+v, %v", out, err)
	}
}

// Who has no certificate of the site does not get a request into the list that travels, and nobody gets one
// in for another.
func TestRequestsForRenewalAreThoseOfMachinesOfTheSite(t *testing.T) {
	r := newRound(t)
	a, b, s := r.at("a", "north"), r.at("b", "north"), r.at("s", "south")
	good, err := b.errands.own()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := s.errands.own()
	if err != nil {
		t.Fatal(err)
	}
	as := func(x *running, e errand) errand { e.Sig = ed25519.Sign(x.key, e.signed()); return e }
	withCert := *good
	withCert.Cert = a.hello().Cert
	inName := *good
	inName.Machine, inName.Cert = a.id, a.hello().Cert
	early := *good
	early.At = early.At.Add(2 * time.Hour)
	unsigned := *good
	unsigned.Request = append([]byte(nil), unsigned.Request...)
	unsigned.Request[10] ^= 1
	for name, e := range map[string]errand{
		"of another site": *foreign, "with another's certificate": as(b, withCert), "in another's name": as(b, inName),
		"of the future": as(b, early), "changed": unsigned,
	} {
		book, _ := errandList(e)
		if wrong, err := a.errands.take(book); err != nil || wrong == nil && name != "in another's name" || len(a.errands.book().Errands) != 0 {
			t.Errorf("%s: %v, %v, %d kept", name, wrong, err, len(a.errands.book().Errands))
		}
	}
	book, err := errandList(*good)
	if wrong, terr := a.errands.take(book); err != nil || wrong != nil || terr != nil || len(a.errands.book().Errands) != 1 {
		t.Fatalf("a good one: %v, %v, %v", err, wrong, terr)
	}
	for _, junk := range [][]byte{nil, []byte("[]x"), []byte(`{"k":"join"}`), make([]byte, enrol.MaxRequestBytes+1)} {
		if err := a.errands.stray("x", junk); err != nil || len(a.errands.book().Strays) != 0 {
			t.Errorf("%.20q is kept as a request: %v", junk, err)
		}
	}
	for n := range 2 * maxStrays {
		if err := a.errands.stray(fmt.Sprint(n), []byte(`{"k":"renew"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.errands.book().Strays); n != maxStrays {
		t.Errorf("%d requests of strangers are kept", n)
	}
	// At the seed each counts for whom it proves to be of, and only if that one is enrolled.
	mesh2 := newMesh(t)
	x := mesh2.machine("x", "", Config{Egress: EgressYes})
	not, err := x.errands.own()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.seed.TakeReturn(context.Background(), api.Return{Machine: a.id, Renewals: [][]byte{good.Request, not.Request, []byte("{}"), foreign.Request}})
	if err != nil || out.Renewals != 2 || out.Refused != 2 {
		t.Errorf("%+v, %v", out, err)
	}
}

// A stick that travelled for longer than a head lasts is of use where there is a budget, and nowhere else;
// what it brings is installed.
func TestStickThatTravelledForLongIsTakenWithinTheBudget(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	b := r.at("b", "north", a.addr)
	s := r.at("s", "south")
	r.budget("north", 30)
	for _, x := range []*running{a, s} {
		r.outgoing(x.member.Site)
		r.visit(x)
	}
	until(t, "b to be told by a", func() bool { return b.believer.current().Roster().SiteStale("north") > 0 })
	r.file("late", static(1<<20))
	r.approve("late")
	head := r.seed.believer.current().HeadVersion()
	south := t.TempDir()
	r.outgoing("north")
	r.stick, south = south, r.stick
	r.outgoing("south")
	r.clock.forward(20 * days)
	if i, _ := r.visit(s); i.Approvals != "expired" {
		t.Errorf("without a budget: %+v", i)
	}
	r.stick = south
	if i, _ := r.visit(a); i.Approvals != "newer" || !i.Complete {
		t.Errorf("within the budget: %+v", i)
	}
	for _, x := range []*running{a, b} {
		until(t, x.member.Name+" to install what the late stick brought", func() bool { return x.update(t, "late").State == "installed" })
	}
	r.clock.forward(18 * days)
	until(t, "the approvals to be stale at the end of the budget", func() bool {
		f, err := a.Status(context.Background(), api.StatusQuery{})
		return err == nil && f.Stale
	})
	if b.believer.current().HeadVersion() != head {
		t.Errorf("b is at head %d, want %d", b.believer.current().HeadVersion(), head)
	}
	if _, err := r.seed.Site(context.Background(), api.SiteRequest{Site: SeedSite, StaleDays: 3}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a budget for the seed's own site: %v", err)
	}
}

// The budget is a word of the roster, in bounds.
func TestStalenessBudgetIsBounded(t *testing.T) {
	m := newMesh(t)
	if _, err := m.seed.Site(context.Background(), api.SiteRequest{Site: "north", StaleDays: policy.MaxStaleDays + 1}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("beyond the bound: %v", err)
	}
	if policy.MaxStaleDays*days >= renewGrace {
		t.Error("a revocation could be forgotten while a certificate still counts")
	}
	if _, err := m.seed.Site(context.Background(), api.SiteRequest{Site: "north", StaleDays: 30}); err != nil {
		t.Fatal(err)
	}
	v, err := m.seed.Site(context.Background(), api.SiteRequest{Site: "north", Prefixes: []string{"10.0.0.0/8"}})
	if err != nil || v.StaleDays != 30 {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err = m.seed.Site(context.Background(), api.SiteRequest{Site: "north", StaleDays: -1}); err != nil || v.StaleDays != 0 || len(v.Prefixes) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

// A stopped machine is fed, too.
func TestStoppedMachineIsRenewedByTheStick(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	r.outgoing("north")
	r.visit(a)
	r.home()
	end := a.ends(t)
	a.stop()
	r.clock.forward(4 * days)
	r.outgoing("north")
	err := WithCarrier(filepath.Join(r.dir, "a"), r.clock.now, func(c api.Carrier) error {
		i, err := ImportBundle(context.Background(), c, r.stick, r.clock.now())
		if err == nil && (i.Renewals == nil || !i.Renewals.Renewed) {
			t.Errorf("%+v", i.Renewals)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a = r.again("a")
	if !a.ends(t).After(end.Add(3 * days)) {
		t.Errorf("its membership ends %s, before %s", a.ends(t), end)
	}
	if _, err := os.Stat(r.stick); err != nil {
		t.Fatal(err)
	}
}

func errandList(all ...errand) ([]byte, error) { return json.Marshal(all) }

func FuzzErrandsAndAnswers(f *testing.F) {
	f.Add([]byte(`[{"machine":"a","at":"2026-01-01T00:00:00Z","request":"AA==","cert":"AA==","sig":"AA=="}]`))
	f.Add([]byte(`{"body":"e30=","sig":"AA=="}`))
	dir := f.TempDir()
	if _, err := Found(FoundRequest{DataDir: filepath.Join(dir, "seed"), Org: "acme", Name: "seed"}, time.Now); err != nil {
		f.Fatal(err)
	}
	d, err := openFolder(filepath.Join(dir, "seed"), time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(d.close)
	e := &errands{db: d.db, key: d.key, id: d.id, believer: d.believer, now: time.Now}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := e.take(b); err != nil || len(e.book().Errands) != 0 {
			t.Errorf("%v, %d kept", err, len(e.book().Errands))
		}
		if newer, _, err := e.takeAnswers(b); newer || err == nil {
			t.Errorf("a list that nobody signed: %v, %v", newer, err)
		}
		if _, _, err := d.seed.takeErrands([][]byte{b}); err != nil {
			t.Error(err)
		}
	})
}

// issuerKey is what a seed signs certificates with.
func issuerKey(t *testing.T, s *seed) ed25519.PrivateKey {
	t.Helper()
	key, err := s.issuer()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
