package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
	"patchmesh/swarm/wire"
)

// joinGroup enrols a machine of site main in a group.
func (m *mesh) joinGroup(name, group string) {
	m.t.Helper()
	inv, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: "main", Groups: []string{group}, Uses: 1})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, name), Token: inv.Token, Name: name}, time.Now); err != nil {
		m.t.Fatal(err)
	}
}

// An update is approved for a machine that is away. The cache of its site, which is in no group that has it, fetches
// it across the WAN once; another machine of the group that comes later, with no seed left, has all from the cache.
func TestCacheServesWhoComesLater(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.joinGroup("cache", "infra")
	m.joinGroup("early", "office")
	m.joinGroup("late", "office")
	cache := m.run("cache", Config{Cache: true, Egress: EgressYes, Peers: []string{m.seed.addr}})
	early := m.run("early", Config{Egress: EgressNo, Peers: []string{cache.addr}})
	until(t, "the role to be told", func() bool {
		return slices.ContainsFunc(early.view.Load().Peers, func(p swarm.PeerView) bool { return p.ID == swarm.PeerID(cache.id) && p.Cache })
	})
	early.stop()
	until(t, "the machine to be away", func() bool { return len(cache.view.Load().Absent) == 1 })
	body := noise(11, 700<<10)
	m.importFrom("one", body)
	m.approve("one")
	until(t, "the cache to have it", func() bool {
		v := cache.view.Load()
		return len(v.Payloads) == 1 && v.Payloads[0].Ready
	})
	m.seed.stop()
	late := m.run("late", Config{Egress: EgressNo, Peers: []string{cache.addr}})
	installedIs(t, late, "one", body)
	u, kept := late.update(t, "one"), cache.view.Load().Payloads[0]
	if u.Bytes != (api.Bytes{Cache: int64(len(body))}) {
		t.Errorf("the late machine got it from elsewhere, or its books do not say that a cache gave it: %+v", u.Bytes)
	}
	cameFromCache(t, late, cache, int64(len(body)))
	if kept.Seed != kept.Bytes || kept.Wasted+kept.Duplicate+kept.Site+kept.Subnet != 0 {
		t.Errorf("it did not cross the WAN once: %+v", kept)
	}
	if _, err := os.Stat(filepath.Join(cache.root, "srv", "one")); !os.IsNotExist(err) {
		t.Errorf("the cache installed what is not approved for it: %v", err)
	}
	info, err := cache.Node.Node(context.Background())
	if err != nil || !info.Cache {
		t.Errorf("the cache does not call itself one: %+v, %v", info, err)
	}
}

// cameFromCache checks C-21: what a cache gave is a tier like any other, wherever bytes are told of, and no byte is missing.
func cameFromCache(t *testing.T, late, cache *running, bytes int64) {
	t.Helper()
	p, err := late.Provenance(context.Background(), "one", "late")
	if err != nil || p.HeldBytes != bytes || len(p.Sources) != 1 || p.Sources[0].Tier != api.TierCache || p.Sources[0].Peer != cache.id || p.Sources[0].Bytes != bytes || p.Sources[0].Percent != 100 {
		t.Errorf("provenance: %+v, %v", p, err)
	}
	until(t, "the books to be written", func() bool {
		r, err := late.BytesReport(context.Background(), api.BytesQuery{By: "tier"})
		return err == nil && slices.ContainsFunc(r.Rows, func(b api.BytesRow) bool { return b.Key == api.TierCache && b.Bytes.Cache == bytes }) && r.Total.SavedBytes == bytes
	})
	i, err := late.Node.Node(context.Background())
	if err != nil || !slices.ContainsFunc(i.Peers, func(p api.PeerInfo) bool { return p.ID == cache.id && p.Tier == api.TierCache }) {
		t.Errorf("peers: %+v, %v", i, err)
	}
}

// A program of before would end the session over a message that it does not know, so it is not told.
func TestRoleIsToldToWhoUnderstandsIt(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.joinGroup("cache", "infra")
	cache := m.run("cache", Config{Cache: true, Egress: EgressNo, Peers: []string{m.seed.addr}})
	wifi := DefaultGates()
	wifi.Link = LinkWiFi
	roamer := m.machine("roamer", "", Config{Egress: EgressNo, Gates: &wifi})
	until(t, "the link to be known", func() bool { return roamer.view.Load().WiFi })
	told := func(s *stranger, host *transport.Host, of *running) (roles []wire.Role) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := host.Connect(ctx, of.id, of.addr); err != nil {
			t.Fatal(err)
		}
		for m := range s.said { // Synced is among the last things of a greeting, the role among the first
			if r, ok := m.(wire.Role); ok {
				roles = append(roles, r)
			}
			if _, last := m.(wire.Synced); last {
				break
			}
		}
		return roles
	}
	for _, x := range []struct {
		version           int
		byCache, byRoamer []wire.Role
	}{
		{wire.VersionFirst, nil, nil},
		{wire.VersionRoles, []wire.Role{{Cache: true}}, nil},
		{wire.VersionLinks, []wire.Role{{Cache: true}}, []wire.Role{{WiFi: true}}},
	} {
		s, host := m.memberOfVersion(x.version)
		if c, r := told(s, host, cache), told(s, host, roamer); !slices.Equal(c, x.byCache) || !slices.Equal(r, x.byRoamer) {
			t.Errorf("version %d is told %+v by the cache and %+v by the machine on Wi-Fi", x.version, c, r)
		}
		_ = host.Close()
	}
}

// A machine on Wi-Fi says so, to its neighbours and to people, and what it sends is limited, until it is docked or
// somebody set another limit.
func TestMachineOnWiFiSendsNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	wifi := DefaultGates()
	wifi.Link = LinkWiFi
	own, err := ParseLimit("lan.up=unlimited")
	if err != nil {
		t.Fatal(err)
	}
	a := m.machine("a", "", Config{Egress: EgressNo, Gates: &wifi})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	c := m.machine("c", a.addr, Config{Egress: EgressNo, Gates: &wifi, Limits: rate.Limits{own}})
	seen := func() bool {
		i, err := b.Node.Node(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(i.Peers, func(p api.PeerInfo) bool { return p.ID == a.id && p.WiFi })
	}
	limits := func(r *running) map[string]int64 {
		out := map[string]int64{}
		i, err := r.Node.Node(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range i.Traffic.Limits {
			if l.Why == LinkWiFi {
				out[l.Class+"."+l.Dir] = l.BytesPerSec
			}
		}
		return out
	}
	until(t, "a neighbour to hear of it", seen)
	if got := limits(a); len(got) != 2 || got["lan.up"] != 6250000 || got["site.up"] != 6250000 {
		t.Errorf("it may send %v", got)
	}
	until(t, "the other to know its link", func() bool { return c.view.Load().WiFi })
	if got := limits(c); len(got) != 1 || got["site.up"] != 6250000 {
		t.Errorf("with a limit of its own it may send %v", got)
	}
	a.linkChanged(false)
	until(t, "it to know that it is docked", func() bool { return len(limits(a)) == 0 })
}

// memberOfVersion is a machine of site main whose program is of some version and says nothing.
func (m *mesh) memberOfVersion(version int) (*stranger, *transport.Host) {
	m.t.Helper()
	name := "member-" + string(rune('0'+version))
	m.joinGroup(name, "office")
	f, err := openFolder(filepath.Join(m.dir, name), time.Now)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(f.close)
	s := &stranger{up: make(chan struct{}, 4), said: make(chan wire.Message, 64)}
	host, err := transport.New(transport.Config{
		Key: f.key, Listen: "127.0.0.1:0", Handler: s, Log: logOnFailure(m.t, name),
		Hello: func() wire.Hello { return wire.Hello{Version: version, Cert: f.member.Cert} },
		Admit: func(id string, _ wire.Hello) (transport.Peer, error) {
			return transport.Peer{ID: id, Site: "main"}, nil
		},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = host.Close() })
	return s, host
}
