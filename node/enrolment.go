package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// newToken makes a token of an invitation that has been checked.
func (s *seed) newToken(r api.InviteRequest) (*api.Invite, error) {
	t := s.believer.current()
	i := slices.IndexFunc(t.Roster().Seeds, func(e policy.SeedEntry) bool { return e.Site == s.member.Site })
	if i < 0 {
		return nil, api.Errorf(api.ClassRefused, "the roster names no seed here")
	}
	box, err := enrol.BoxPublic(s.box)
	if err != nil {
		return nil, err
	}
	root, err := s.db.Value(rootKey(1))
	if err != nil {
		return nil, fmt.Errorf("first root: %w", err)
	}
	tok := enrol.Token{
		Secret: make([]byte, 32), SeedPeer: t.Roster().Seeds[i].Peer, Box: box, RootDigest: content.Sum(root),
		Addrs: t.Roster().Seeds[i].Addrs, Site: r.Site,
	}
	if _, err := rand.Read(tok.Secret); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	text, err := tok.Encode()
	if err != nil {
		return nil, err
	}
	expires := s.now().Add(r.ExpiresIn)
	if err := s.db.PutToken(tok.Hash(), r.Site, r.Groups, r.Uses, expires); err != nil {
		return nil, err
	}
	return &api.Invite{Token: text, Site: r.Site, Groups: nonNil(r.Groups), Uses: r.Uses, ExpiresAt: expires.UTC()}, nil
}

// enrolAsked answers a request to join on a seed, and carries it on elsewhere. The relay learns
// nothing: request and answer are sealed between machine and seed.
func (n *Node) enrolAsked(ctx context.Context, _, remoteAddr string, request []byte) ([]byte, error) {
	if n.seed != nil {
		b, err := n.seed.admit(request)
		if err != nil {
			n.log.Warn("join refused", "from", remoteAddr, "err", err)
		}
		return b, err
	}
	var last error = errors.New("no way to the seed from here")
	for _, s := range n.believer.current().Roster().Seeds {
		for _, a := range n.waysTo(s) {
			b, err := n.host.EnrolWith(ctx, a.ID, a.Addr, request)
			if err == nil {
				return b, nil
			}
			last = err
			if errors.Is(err, transport.ErrRefused) {
				return nil, err // the seed has spoken
			}
		}
	}
	return nil, last
}

// waysTo lists whom to hand a request to: the seed itself where this machine may use the WAN, else
// the uplink of the site, which is one hop nearer.
func (n *Node) waysTo(s policy.SeedEntry) []wire.PeerAddr {
	var out []wire.PeerAddr
	if n.mayEgress() {
		for _, a := range s.Addrs {
			out = append(out, wire.PeerAddr{ID: s.Peer, Addr: a})
		}
		return out
	}
	up := string(n.view.Load().Uplink)
	for _, p := range n.host.Peers() {
		if p.ID == up && p.ID != n.id {
			out = append(out, wire.PeerAddr{ID: p.ID, Addr: p.Addr})
		}
	}
	return out
}

// admit turns a sealed request into a membership. The use of the token is durable before the
// certificate leaves; the same machine may ask again after a lost answer without a second use.
func (s *seed) admit(request []byte) ([]byte, error) {
	o, err := enrol.OpenRequest(s.box, request)
	if err != nil {
		return nil, err
	}
	t := s.believer.current()
	if slices.Contains(t.Roster().Revoked, o.Peer) {
		return nil, errRevoked
	}
	tok, err := s.db.SpendToken(o.TokenHash, o.Peer, s.now())
	if err != nil {
		return nil, err
	}
	name := o.Name
	if !policy.ValidName(name) {
		name = "machine"
	}
	serial, err := s.db.NextSerial()
	if err != nil {
		return nil, err
	}
	cert := enrol.Certificate{
		Serial: serial, Org: s.member.Org, Site: tok.Site, Name: name, Groups: tok.Groups, Peer: o.Peer,
		NotBefore: s.now().Add(-time.Hour), NotAfter: s.now().Add(certLife),
	}
	signed, err := enrol.Issue(cert, s.enrol)
	if err != nil {
		return nil, err
	}
	if err := s.db.PutMember(state.MemberRow{
		ID: o.Peer, Name: name, Site: tok.Site, Groups: tok.Groups, Serial: serial, NotAfter: cert.NotAfter, JoinedAt: s.now(),
	}); err != nil {
		return nil, err
	}
	key, err := siteGossipKey(s.gossip, tok.Site)
	if err != nil {
		return nil, err
	}
	return o.Answer(enrol.Answer{
		Org: s.member.Org, Site: tok.Site, Name: name, Groups: tok.Groups, Cert: signed, GossipKey: key, Documents: s.firstDocuments(t),
	})
}

// firstDocuments is the chain that a new machine begins with: the pinned root and what follows.
func (s *seed) firstDocuments(t *policy.Trust) map[string][]byte {
	f := t.Files()
	return map[string][]byte{
		"root": f.Root, "timestamp": f.Timestamp, "snapshot": f.Snapshot, "targets": f.Targets,
		"roster-role": f.RosterRole, "roster": f.Roster, "manifest": f.Manifest, "delegated": f.Delegated,
	}
}

// JoinRequest is what join needs.
type JoinRequest struct {
	DataDir string
	Token   string
	Peers   []string // ip:port of the seed or of enrolled machines; tried before the token's own
	Name    string
}

// Joined is what came of it.
type Joined struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Org    string   `json:"org"`
	Site   string   `json:"site"`
	Groups []string `json:"groups"`
}

// Join enrols this machine: it makes its key, asks the seed through whoever can be reached, verifies
// what comes back from the root pinned in the token on, and keeps it.
func Join(ctx context.Context, r JoinRequest, now func() time.Time) (*Joined, error) {
	tok, err := checkJoin(&r)
	if err != nil {
		return nil, err
	}
	f, err := newFolder(r.DataDir, now)
	if err != nil {
		return nil, spaceClass(err)
	}
	defer f.close()
	request, pending, err := enrol.NewRequest(tok, f.key, r.Name, rand.Reader)
	if err != nil {
		return nil, err
	}
	b, err := ask(ctx, f.key, tok, r.Peers, request)
	if err != nil {
		return nil, err
	}
	a, err := pending.Open(b)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "the answer was not made by the seed of this token: %v", err)
	}
	return f.enrol(a, tok, r.Peers)
}

func checkJoin(r *JoinRequest) (enrol.Token, error) {
	tok, err := enrol.ParseToken(r.Token)
	switch {
	case errors.Is(err, enrol.ErrTypo):
		return tok, api.Errorf(api.ClassUsage, "%v", err).WithHint("paste the whole line that 'patchmesh invite' printed")
	case err != nil:
		return tok, api.Errorf(api.ClassUsage, "that is no join token: %v", err).WithHint("ask the admin for one: 'patchmesh invite'")
	}
	for _, p := range r.Peers {
		if err := checkAddr(p); err != nil {
			return tok, api.Errorf(api.ClassUsage, "--peer: %v", err)
		}
	}
	r.Name = first(r.Name, hostname())
	if !policy.ValidName(r.Name) {
		return tok, api.Errorf(api.ClassUsage, "%q is no valid machine name", r.Name).WithHint("use letters, digits, dot, dash and underscore, 1 to 63 of them")
	}
	if len(r.Peers)+len(tok.Addrs) == 0 {
		return tok, api.Errorf(api.ClassUsage, "the token names no address of the seed").WithHint("add --peer IP:PORT of the seed or of an enrolled machine")
	}
	return tok, nil
}

// ask tries every address once: those given by hand, then the seed's own.
func ask(ctx context.Context, key ed25519.PrivateKey, tok enrol.Token, peers []string, request []byte) ([]byte, error) {
	h, err := transport.New(transport.Config{
		Key: key, Listen: "127.0.0.1:0", Handler: noHandler{}, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{Version: 1} },
		Admit: func(string, wire.Hello) (transport.Peer, error) { return transport.Peer{}, errForeignSite },
	})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var last error
	try := func(id, addr string) []byte {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		b, err := h.EnrolWith(ctx, id, addr, request)
		if err != nil {
			last = fmt.Errorf("%s: %w", addr, err)
			return nil
		}
		return b
	}
	for _, p := range peers {
		id := ""
		if slices.Contains(tok.Addrs, p) {
			id = tok.SeedPeer
		}
		if b := try(id, p); b != nil || errors.Is(last, transport.ErrRefused) {
			return b, refusedJoin(b, last)
		}
	}
	for _, a := range tok.Addrs {
		if b := try(tok.SeedPeer, a); b != nil || errors.Is(last, transport.ErrRefused) {
			return b, refusedJoin(b, last)
		}
	}
	return nil, api.Errorf(api.ClassUnreachable, "neither the seed nor an enrolled machine could be reached: %v", last).
		WithHint("see that patchmesh runs there and the mesh port is open, or name a machine that can be reached with --peer IP:PORT")
}

func refusedJoin(b []byte, last error) error {
	if b != nil {
		return nil
	}
	return api.Errorf(api.ClassRefused, "the seed refused: %v", last).WithHint("tokens expire and are used up; ask the admin for a new one: 'patchmesh invite'")
}

// enrol keeps the membership, after verifying all of it.
func (f *folder) enrol(a *enrol.Answer, tok enrol.Token, peers []string) (*Joined, error) {
	files := policy.Files{
		Root: a.Documents["root"], Timestamp: a.Documents["timestamp"], Snapshot: a.Documents["snapshot"], Targets: a.Documents["targets"],
		RosterRole: a.Documents["roster-role"], Roster: a.Documents["roster"], Manifest: a.Documents["manifest"],
		Delegated: a.Documents["delegated"],
	}
	if content.Sum(files.Root) != tok.RootDigest {
		return nil, api.Errorf(api.ClassRefused, "the root of trust is not the one that the token names")
	}
	t, err := policy.OpenTrust(files, f.now())
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "the documents that came with the membership cannot be believed: %v", err)
	}
	keys, err := rosterKeys(t.Roster())
	if err != nil {
		return nil, err
	}
	if _, err := enrol.Check(a.Cert, keys, f.id, f.now()); err != nil {
		return nil, api.Errorf(api.ClassRefused, "the membership certificate cannot be believed: %v", err).WithHint("see that this machine's clock is right")
	}
	if err := f.beginTrust(files); err != nil {
		return nil, err
	}
	m := membership{Org: a.Org, Site: a.Site, Name: a.Name, Groups: nonNil(a.Groups), Cert: a.Cert, GossipKey: a.GossipKey, Peers: peers}
	if err := saveMembership(f.db, m); err != nil { // last: what makes the folder a member's
		return nil, err
	}
	return &Joined{ID: f.id, Name: m.Name, Org: m.Org, Site: m.Site, Groups: m.Groups}, nil
}

// noHandler is a machine that only asks.
type noHandler struct{}

func (noHandler) PeerUp(transport.Peer)                       {}
func (noHandler) PeerDown(string, error)                      {}
func (noHandler) Message(string, wire.Message)                {}
func (noHandler) ChunkAsked(string, uint64, content.ID, int)  {}
func (noHandler) ChunkCancelled(string, uint64)               {}
func (noHandler) DocAsked(string, wire.DocAsk) ([]byte, bool) { return nil, false }
func (noHandler) GossipStream(_ string, c net.Conn)           { _ = c.Close() }
func (noHandler) Enrol(context.Context, string, string, []byte) ([]byte, error) {
	return nil, errForeignSite
}

func failureIsTrust(err error) bool { return policy.ReasonOf(err) != "" }
