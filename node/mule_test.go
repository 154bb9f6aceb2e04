package node

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/media"
	"patchmesh/node/transport"
	"patchmesh/policy"
)

// laptop is a machine of no site in particular that is carried about. It reaches whoever is near where it is.
type laptop struct {
	*mesh
	*running
	name string
}

func (m *mesh) laptop(name string) *laptop {
	m.t.Helper()
	inv, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: "road", Groups: []string{"couriers"}})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, name), Token: inv.Token, Name: name}, time.Now); err != nil {
		m.t.Fatal(err)
	}
	return &laptop{mesh: m, name: name}
}

// at brings it to where these machines are.
func (l *laptop) at(near ...*running) {
	l.t.Helper()
	l.leave()
	c := Config{Egress: EgressNo, Revisit: 200 * time.Millisecond}
	for _, r := range near {
		c.Peers = append(c.Peers, r.addr)
		if r.Node == l.seed.Node {
			c.Egress = EgressAuto
		}
	}
	l.running = l.run(l.name, c)
}

func (l *laptop) leave() {
	if l.running != nil {
		l.running.stop()
		l.running = nil
	}
}

// told waits until the laptop says that something happened n times since it came to where it is.
func (l *laptop) told(t *testing.T, what string, n int) {
	t.Helper()
	since := l.started
	until(t, what, func() bool {
		log, err := l.Events(context.Background(), api.EventQuery{Kind: api.EventCarried, Since: since})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, e := range log.Events {
			if bytes.Contains([]byte(e.Detail), []byte(what)) {
				seen++
			}
		}
		return seen >= n
	})
}

// byStick is how a site hears of carriers for the first time.
func (m *mesh) byStick(site string, r *running) {
	m.t.Helper()
	stick := m.t.TempDir()
	m.export(ExportRequest{Dir: stick, Site: site})
	r.feed(m.t, stick)
}

// A laptop that visits headquarters and two sites carries approvals and payloads there, and status back,
// without any command: policy says for which sites.
func TestLaptopCarriesBothWaysBetweenSitesByPolicy(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.offline("a", "north")
	b := m.offline("b", "north", a.addr)
	c := m.offline("c", "south")
	l := m.laptop("laptop")
	m.setting(policy.SetCarries, "couriers", "north,south")
	m.byStick("north", a)
	m.byStick("south", c)
	body := static(3<<20 + 5)
	m.file("u1", body)
	m.approve("u1")
	l.at(m.seed)
	l.told(t, "packed for site north", 1)
	l.told(t, "packed for site south", 1)
	l.at(a, c)
	for _, r := range []*running{a, b, c} {
		until(t, "u1 to be installed", func() bool { return r.update(t, "u1").State == "installed" })
		if got, err := os.ReadFile(filepath.Join(r.root, "srv", "u1")); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("installed: %d bytes, %v", len(got), err)
		}
	}
	if u := a.update(t, "u1").Bytes; u.Media < int64(len(body)) || u.WAN() != 0 {
		t.Errorf("the machine that was visited counts %+v", u)
	}
	m.noSeed(a, b, c)
	since := time.Now()
	until(t, "visits after the installs", func() bool {
		return m.asOf(l, "north").After(since) && m.asOf(l, "south").After(since)
	})
	if n := len(l.host.Peers()); n != 0 {
		t.Errorf("the carrier has %d sessions with machines of other sites", n)
	}
	l.at(m.seed)
	l.told(t, "handed in at the seed", 2)
	l.leave()
	for _, r := range []*running{a, b, c} {
		sameStatus(t, r.row(t, r.id), m.seed.row(t, r.id))
		sameInventory(t, r, m.seed)
	}
	if _, err := m.seed.LastHave(context.Background(), api.CargoQuery{Site: "north"}); err != nil {
		t.Error(err)
	}
}

// Who may visit, and what a visitor may not do there, whatever it has been made a carrier for.
func TestVisitorMayWhatAStickMayAndOnlyWherePolicySaysSo(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.offline("a", "north")
	c := m.offline("c", "south")
	l := m.laptop("laptop")
	m.byStick("north", a)
	m.byStick("south", c)
	l.at(m.seed)
	visit := func(r *running) error {
		conn, _, err := l.host.Visit(context.Background(), r.id, r.addr, l.judgeVisited)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	if err := visit(a); !errors.Is(err, transport.ErrNotAdmitted) {
		t.Errorf("a visit that no policy allows: %v", err)
	}
	m.setting(policy.SetCarries, "couriers", "north")
	m.byStick("north", a)
	m.byStick("south", c)
	until(t, "the laptop to hear of it", func() bool { return len(l.carriedHere()) == 1 })
	if err := visit(a); err != nil {
		t.Errorf("a visit that policy allows: %v", err)
	}
	if err := visit(c); !errors.Is(err, transport.ErrNotAdmitted) {
		t.Errorf("a visit to another site: %v", err)
	}
	l.told(t, "packed for site north", 1)
	if _, err := os.Stat(l.mule.dir("north")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.seed.Revoke(context.Background(), api.RevokeRequest{Machine: l.id, Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	m.byStick("north", a)
	if err := visit(a); err == nil {
		t.Error("a machine that was locked out visits")
	}
}

// What is carried for a site goes when policy does not name the site any more.
func TestCarrierDropsWhatItCarriesWhenPolicyEnds(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.offline("a", "north")
	l := m.laptop("laptop")
	m.setting(policy.SetCarries, "couriers", "north")
	l.at(m.seed)
	l.told(t, "packed for site north", 1)
	dir := l.mule.dir("north")
	m.setting(policy.SetCarries, "couriers", "none")
	until(t, "what was carried to go", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	})
}

func TestCarrierIsRefusedWhatIsNotForIt(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.offline("a", "north")
	m.offline("c", "south")
	ctx := context.Background()
	v := &visited{Carrier: a.Node, sites: []string{"north"}, own: "north"}
	s := &visitedSeed{&visited{Carrier: m.seed.Node, sites: []string{"north"}, own: "hq"}}
	for what, call := range map[string]func() error{
		"seed: cargo of another site":    func() error { _, err := s.Cargo(ctx, api.CargoQuery{Site: "south"}); return err },
		"seed: cargo of all":             func() error { _, err := s.Cargo(ctx, api.CargoQuery{}); return err },
		"seed: cargo of a group":         func() error { _, err := s.Cargo(ctx, api.CargoQuery{Site: "north", Group: "office"}); return err },
		"seed: what another site has":    func() error { _, err := s.LastHave(ctx, api.CargoQuery{Site: "south"}); return err },
		"seed: renewals of another site": func() error { _, err := s.GiveAnswers(ctx, api.CargoQuery{Site: "south"}); return err },
		"seed: renewals of all":          func() error { _, err := s.GiveAnswers(ctx, api.CargoQuery{}); return err },
		"seed: approvals":                func() error { _, err := s.AdoptTrust(ctx, api.TrustDocs{}); return err },
		"seed: documents":                func() error { _, err := s.TakeDocs(ctx, api.CargoDocs{}); return err },
		"seed: chunks":                   func() error { _, err := s.TakeChunks(ctx, nil); return err },
		"seed: answers":                  func() error { _, err := s.TakeAnswers(ctx, nil); return err },
		"seed: reports":                  func() error { _, err := s.GiveReturn(ctx); return err },
		"site: documents":                func() error { _, err := v.GiveDocs(ctx, api.DocQuery{}); return err },
		"site: chunks":                   func() error { return v.GiveChunks(ctx, api.ChunkQuery{}, nil) },
		"site: renewals":                 func() error { _, err := v.GiveAnswers(ctx, api.CargoQuery{}); return err },
		"site: cargo of another":         func() error { _, err := v.Cargo(ctx, api.CargoQuery{Site: "south"}); return err },
		"site: what another one has":     func() error { _, err := v.LastHave(ctx, api.CargoQuery{Site: "south"}); return err },
		"site: to take reports":          func() error { _, err := v.TakeReturn(ctx, api.Return{}); return err },
	} {
		if err := call(); api.ClassOf(err) != api.ClassRefused {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.Cargo(ctx, api.CargoQuery{Site: "north"}); err != nil {
		t.Error(err)
	}
}

// asOf is when the newest return that the laptop holds of a site was made.
func (m *mesh) asOf(l *laptop, site string) (at time.Time) {
	_ = l.mule.returns(site, func(f *media.Folder, n media.Name) error {
		file, _, err := f.OpenFile(n)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, doc, err := openReturn(file); err == nil && doc.MadeAt.After(at) {
			at = doc.MadeAt
		}
		return nil
	})
	return at
}
