package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// machineOf joins a machine of a site, through the seed, and runs it.
func (m *mesh) machineOf(site, name string, cfg Config) *running {
	m.t.Helper()
	m.joinSite(site, name)
	return m.run(name, cfg)
}

func (m *mesh) joinSite(site, name string) {
	m.t.Helper()
	inv, err := m.seed.Invite(context.Background(), api.InviteRequest{Site: site, Groups: []string{"office"}})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := Join(context.Background(), JoinRequest{DataDir: filepath.Join(m.dir, name), Token: inv.Token, Name: name}, time.Now); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mesh) neighbours(site string, from ...string) {
	m.t.Helper()
	s, err := m.seed.Site(context.Background(), api.SiteRequest{Site: site, Neighbours: from})
	if err != nil || len(s.Neighbours) == 0 && from[0] != "none" {
		m.t.Fatalf("%+v, %v", s, err)
	}
}

func installedIs(t *testing.T, r *running, id string, body []byte) {
	t.Helper()
	until(t, id+" to be installed", func() bool { return r.update(t, id).State == "installed" })
	if got, err := os.ReadFile(filepath.Join(r.root, "srv", id)); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%s: %d bytes, %v", id, len(got), err)
	}
}

// A site takes its bytes from the machines of its neighbour site, and what they lack from the seed. That it is
// allowed is said by the roster, for one direction; people see where the bytes came from.
func TestNeighbourSiteGivesWhatTheSeedNeedNot(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.neighbours("next", "main")
	a := m.machine("a", "", Config{Egress: EgressYes})
	body := noise(7, 3<<20)
	m.importFrom("big", body)
	m.approve("big")
	installedIs(t, a, "big", body)
	b := m.machineOf("next", "b", Config{Egress: EgressYes})
	installedIs(t, b, "big", body)
	u := b.update(t, "big")
	if u.Bytes.Neighbour != int64(len(body)) || u.Bytes.WAN() != 0 || u.Bytes.Wasted != 0 {
		t.Errorf("the bytes came from %+v", u.Bytes)
	}
	p, err := b.Provenance(context.Background(), "big", "b")
	if err != nil || len(p.Sources) != 1 || p.Sources[0].Tier != api.TierNeighbour || p.Sources[0].Name != "a" || p.Sources[0].Percent != 100 {
		t.Errorf("%+v, %v", p, err)
	}
	until(t, "a to count what it gave", func() bool { return a.update(t, "big").SentBytes == int64(len(body)) })
	r, err := b.BytesReport(context.Background(), api.BytesQuery{By: "tier"})
	if err != nil || r.Total.Bytes.Neighbour != int64(len(body)) || r.Total.WANBytes != 0 || r.Total.SavedPercent != 100 {
		t.Errorf("%+v, %v", r, err)
	}

	// The neighbour is gone: the seed gives what comes next.
	a.stop()
	more := noise(8, 1<<20)
	m.importFrom("more", more)
	m.approve("more")
	installedIs(t, b, "more", more)
	if u := b.update(t, "more"); u.Bytes.Seed != int64(len(more)) || u.Bytes.Neighbour != 0 {
		t.Errorf("without the neighbour the bytes came from %+v", u.Bytes)
	}
}

// stranger is a machine of another site with a valid certificate that asks for all it can.
type stranger struct {
	noHandler
	up   chan struct{}
	said chan wire.Message
}

func (s *stranger) PeerUp(transport.Peer)            { s.up <- struct{}{} }
func (s *stranger) Message(_ string, m wire.Message) { s.said <- m }

func (m *mesh) strangerOf(site string) (*stranger, *transport.Host) {
	m.t.Helper()
	m.joinSite(site, "stranger")
	f, err := openFolder(filepath.Join(m.dir, "stranger"), time.Now)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(f.close)
	s := &stranger{up: make(chan struct{}, 4), said: make(chan wire.Message, 64)}
	host, err := transport.New(transport.Config{
		Key: f.key, Listen: "127.0.0.1:0", Handler: s, Log: logOnFailure(m.t, "stranger"),
		Hello: func() wire.Hello { return wire.Hello{Version: 1, Cert: f.member.Cert} },
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

// A machine of another site that the roster lets take chunks gets chunks and what is said of them, and nothing
// else: no documents, no reports, no key. Without the roster's word it gets not even a session.
func TestNeighbourSiteGetsChunksAndNothingElse(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	body := noise(7, 700<<10)
	m.importFrom("big", body)
	m.approve("big")
	installedIs(t, a, "big", body)
	s, host := m.strangerOf("next")
	connect := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err := host.Connect(ctx, a.id, a.addr)
		return err
	}
	if err := connect(); err == nil {
		t.Fatal("a machine of another site has a session without a word of the roster")
	}
	big := a.view.Load().Payloads[0].ID
	fetch := func() error {
		got := make(chan error, 1)
		host.FetchChunk(a.id, big, 0, int(a.mapOf(t, big).Chunks[0].StoredBytes), func(_ []byte, err error) transport.Judgement { got <- err; return transport.Unkept })
		select {
		case err := <-got:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("no answer")
			return nil
		}
	}
	// Both ends know that the session is over: the one that ends it knows first.
	apart := func() bool { return len(a.foreignPeers()) == 0 && len(host.Peers()) == 0 }
	m.neighbours("main", "next") // the other direction: main may take from next
	until(t, "the roster to let it in", func() bool { return connect() == nil })
	<-s.up
	if err := fetch(); !errors.Is(err, transport.ErrRefused) {
		t.Errorf("a chunk that it may not take: %v", err)
	}
	m.neighbours("main", "none")
	until(t, "the session to end with the roster that allowed it", apart)
	m.neighbours("next", "main")
	until(t, "the roster to let it in", func() bool { return connect() == nil })
	<-s.up
	var have wire.Have
	for have.Chunks == 0 {
		select {
		case said := <-s.said:
			switch said := said.(type) {
			case wire.Have:
				have = said
			case wire.Synced, wire.Gate:
			default:
				t.Errorf("it is told %T", said)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it is not told what there is")
		}
	}
	if err := fetch(); err != nil {
		t.Errorf("a chunk that it may take: %v", err)
	}
	ctx := context.Background()
	for _, ask := range []wire.DocAsk{
		{Kind: wire.DocRoot, RootVersion: 1}, {Kind: wire.DocContent, ID: have.Payload}, {Kind: wire.DocReport}, {Kind: wire.DocInventory}, {Kind: wire.DocErrands},
		{Kind: wire.DocReceipts},
	} {
		ask.MaxBytes = 1 << 20
		if b, err := host.FetchDoc(ctx, a.id, ask); !errors.Is(err, transport.ErrNotFound) {
			t.Errorf("%+v: it gets %d bytes, %v", ask, len(b), err)
		}
	}
	if err := host.Send(a.id, wire.GossipKeyAsk{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	until(t, "what it may not say to be refused", func() bool { return a.refusedFor(t, policy.ReasonNetRefused) })

	// The roster takes it back: the session ends, and there is no other.
	m.neighbours("next", "none")
	until(t, "the session to end", apart)
	if err := fetch(); !errors.Is(err, transport.ErrGone) && err == nil {
		t.Error("it still gets chunks")
	}
	if err := connect(); err == nil {
		t.Error("it has a session again")
	}
	for len(s.said) > 0 {
		if k, ok := (<-s.said).(wire.GossipKey); ok {
			t.Errorf("it got the gossip key of epoch %d", k.Epoch)
		}
	}
}

func (r *running) mapOf(t *testing.T, id content.ID) *content.PayloadMap {
	t.Helper()
	m, err := r.docs.payloadMap(id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
