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
	if u.Bytes.WAN() != 0 || u.Bytes.Site+u.Bytes.Subnet < int64(len(body)) {
		t.Errorf("the late machine got it from elsewhere: %+v", u.Bytes)
	}
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

// A program of before would end the session over a message that it does not know, so it is not told.
func TestRoleIsToldToWhoUnderstandsIt(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.joinGroup("cache", "infra")
	cache := m.run("cache", Config{Cache: true, Egress: EgressNo, Peers: []string{m.seed.addr}})
	for version, want := range map[int]bool{wire.VersionFirst: false, wire.VersionRoles: true} {
		s, host := m.memberOfVersion(version)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if _, err := host.Connect(ctx, cache.id, cache.addr); err != nil {
			t.Fatal(err)
		}
		cancel()
		told := false
		for m := range s.said { // Synced is among the last things of a greeting, the role among the first
			told = told || m == wire.Role{Cache: true}
			if _, last := m.(wire.Synced); last {
				break
			}
		}
		if told != want {
			t.Errorf("version %d: told %v", version, told)
		}
		_ = host.Close()
	}
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
