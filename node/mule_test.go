package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/media"
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
	m := newMesh(t)
	a := m.offline("a", "north")
	b := m.offline("b", "north", a.addr)
	c := m.offline("c", "south")
	l := m.laptop("laptop")
	m.setting(policy.SetCarries, "couriers", "north,south")
	m.file("u1", static(1<<20))
	m.approve("u1")
	m.byStick("north", a)
	m.byStick("south", c)
	for _, r := range []*running{a, b, c} {
		until(t, "u1 to be installed", func() bool { return r.update(t, "u1").State == "installed" })
	}
	body := static(3<<20 + 5)
	m.file("u2", body)
	m.approve("u2")
	l.at(m.seed)
	l.told(t, "packed for site north", 1)
	l.told(t, "packed for site south", 1)
	l.at(a, c)
	for _, r := range []*running{a, b, c} {
		until(t, "u2 to be installed", func() bool { return r.update(t, "u2").State == "installed" })
		if got, err := os.ReadFile(filepath.Join(r.root, "srv", "u2")); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("installed: %d bytes, %v", len(got), err)
		}
	}
	if u := a.update(t, "u2").Bytes; u.Media < int64(len(body)) || u.WAN() != 0 {
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
