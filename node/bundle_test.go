package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/control"
)

// offline enrols a machine at a site that has no network to the seed and runs it there. It may dial peers
// alone: not the seed, whose address it knows.
func (m *mesh) offline(name, site string, peers ...string) *running {
	m.t.Helper()
	inv, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: site, Groups: []string{"office"}})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, name), Token: inv.Token, Name: name}, time.Now); err != nil {
		m.t.Fatal(err)
	}
	return m.run(name, Config{Egress: EgressNo, Peers: peers})
}

func (m *mesh) export(r ExportRequest) *Exported {
	m.t.Helper()
	r.Now = time.Now()
	x, err := ExportBundle(context.Background(), m.seed.socket(m.t), r)
	if err != nil {
		m.t.Fatal(err)
	}
	return x
}

// socket is the node as the command line sees it.
func (r *running) socket(t *testing.T) api.Carrier {
	t.Helper()
	var s api.Service
	until(t, "the local socket", func() bool {
		var err error
		s, err = control.Dial(r.cfg.DataDir)
		return err == nil
	})
	return s.(api.Carrier)
}

func (r *running) feed(t *testing.T, dir string) *ImportedBundle {
	t.Helper()
	i, err := ImportBundle(context.Background(), r.socket(t), dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// row is a machine's own row, or the seed's of it.
func (r *running) row(t *testing.T, id string) api.Machine {
	t.Helper()
	f, err := r.Status(context.Background(), api.StatusQuery{Machine: id})
	if err != nil {
		t.Fatal(err)
	}
	return f.Machines[0]
}

// noSeed fails the test if a machine has a session with the seed: then nothing was shown.
func (m *mesh) noSeed(machines ...*running) {
	m.t.Helper()
	for _, r := range machines {
		for _, p := range r.host.Peers() {
			if p.Seed {
				m.t.Fatalf("%s has a session with the seed", r.member.Name)
			}
		}
	}
}

func TestApprovalsAndBytesReachTwoSitesOnAStickAndStatusComesBack(t *testing.T) {
	m := newMesh(t)
	a := m.offline("a", "north")
	b := m.offline("b", "north", a.addr)
	c := m.offline("c", "south")
	d := m.offline("d", "south", c.addr)
	random, plain := static(5<<20+123), payload(3<<20)
	m.file("u1", random)
	m.file("u2", plain)
	m.approve("u1")
	m.approve("u2")
	stick := t.TempDir()
	for _, site := range []struct {
		name     string
		machines []*running
	}{{"north", []*running{a, b}}, {"south", []*running{c, d}}} {
		x := m.export(ExportRequest{Dir: stick, Site: site.name})
		if !x.Complete || x.Payloads != 2 || x.Machines != 2 {
			t.Fatalf("export for %s: %+v", site.name, x)
		}
		i := site.machines[0].feed(t, stick)
		if !i.Complete || i.Approvals != "newer" || i.Damaged > 0 {
			t.Fatalf("import at %s: %+v", site.name, i)
		}
		for _, r := range site.machines {
			for id, body := range map[string][]byte{"u1": random, "u2": plain} {
				until(t, id+" to be installed", func() bool { return r.update(t, id).State == "installed" })
				if got, err := os.ReadFile(filepath.Join(r.root, "srv", id)); err != nil || !bytes.Equal(got, body) {
					t.Fatalf("installed %s: %d bytes, %v", id, len(got), err)
				}
			}
		}
		fed, other := site.machines[0].update(t, "u1").Bytes, site.machines[1].update(t, "u1").Bytes
		if fed.Media < int64(len(random)) || fed.WAN()+fed.Site+fed.Subnet != 0 {
			t.Errorf("the fed machine counts %+v", fed)
		}
		if other.Media != 0 || other.WAN() != 0 || other.Subnet+other.Site < int64(len(random)) {
			t.Errorf("its neighbour counts %+v", other)
		}
	}
	m.noSeed(a, b, c, d)
	for _, s := range [][]*running{{a, b}, {c, d}} {
		back, err := ExportReturn(context.Background(), s[0].socket(t), stick)
		if err != nil || back.Reports != 2 || len(back.Missing) > 0 {
			t.Fatalf("return: %+v, %v", back, err)
		}
	}
	at := m.seed.socket(t)
	in, err := ImportReturns(context.Background(), at, at.(api.Service), stick)
	if err != nil || !in.Complete || len(in.Returns) != 2 {
		t.Fatalf("import of returns: %+v, %v", in, err)
	}
	for _, r := range []*running{a, b, c, d} {
		sameStatus(t, r.row(t, r.id), m.seed.row(t, r.id))
		sameInventory(t, r, m.seed)
	}
}

// sameInventory: what the machine says of itself is what the seed has read from the medium.
func sameInventory(t *testing.T, own, seed *running) {
	t.Helper()
	there, err := own.Inventory(context.Background(), api.InventoryQuery{})
	if err != nil || len(there.Machines) != 1 || there.Machines[0].Inventory == nil {
		t.Fatalf("%+v, %v", there, err)
	}
	here, err := seed.Inventory(context.Background(), api.InventoryQuery{Machine: own.id})
	if err != nil || len(here.Machines) != 1 || here.Machines[0].Inventory == nil {
		t.Errorf("%s: the seed has no inventory: %+v, %v", own.member.Name, here, err)
		return
	}
	a, b := there.Machines[0].Inventory, here.Machines[0].Inventory
	if a.OS != b.OS || a.Arch != b.Arch || a.Kernel != b.Kernel || !slices.Equal(a.Packages, b.Packages) {
		t.Errorf("own:  %+v\nseed: %+v", a, b)
	}
}

// sameStatus compares the seed's row of a machine with the machine's own, field by field. Only what says
// who is looking differs: whether it is online, and as of when.
func sameStatus(t *testing.T, own, seed api.Machine) {
	t.Helper()
	if seed.LastReport.IsZero() || time.Since(seed.LastReport) > time.Minute || seed.LastContact.Before(seed.LastReport) {
		t.Errorf("%s as of %s, contact %s", own.Name, seed.LastReport, seed.LastContact)
	}
	if own.ID != seed.ID || own.Name != seed.Name || own.Site != seed.Site || !slices.Equal(own.Groups, seed.Groups) || own.Egress != seed.Egress ||
		!own.LastScan.Equal(seed.LastScan) || own.Epoch != seed.Epoch || own.Version != seed.Version || len(own.Updates) != len(seed.Updates) {
		t.Fatalf("own:  %+v\nseed: %+v", own, seed)
	}
	for i, u := range own.Updates {
		v := seed.Updates[i]
		if !u.Since.Equal(v.Since) {
			t.Errorf("%s since %s, at the seed %s", u.Update, u.Since, v.Since)
		}
		u.Since, v.Since, u.Facts, v.Facts = time.Time{}, time.Time{}, nil, nil
		if u.Update != v.Update || u.State != v.State || u.Reason != v.Reason || u.Bytes != v.Bytes || u.Compliance != v.Compliance ||
			u.Revision != v.Revision || u.HaveBytes != v.HaveBytes || u.SizeBytes != v.SizeBytes || u.Title != v.Title || u.Failures != v.Failures || u.Detail != v.Detail {
			t.Errorf("own:  %+v\nseed: %+v", u, v)
		}
	}
}

// static does not compress.
func static(n int) []byte {
	b, x := make([]byte, n), uint64(n)*2654435761+1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	return b
}

func TestImportWithoutABundleSaysSo(t *testing.T) {
	m := newMesh(t)
	_, err := ImportBundle(context.Background(), m.seed, t.TempDir(), time.Now())
	if api.ClassOf(err) != api.ClassNotFound || !strings.Contains(err.Error(), "no bundle") {
		t.Errorf("empty folder: %v", err)
	}
}
