package node

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// sessions receives what transport reads from peers and turns it into events. Its methods run on
// the readers' goroutines; waiting for a full event queue slows down that peer only.
type sessions struct{ n *Node }

// hello is what this node shows first on every session.
func (n *Node) hello() wire.Hello {
	return wire.Hello{
		Version: wire.VersionPacked, Cert: n.renewal.certificate(),
		Seed: n.seed != nil, Egress: n.mayEgress(), HeadVersion: n.believer.shown(),
	}
}

// admit decides whether a peer may have a session: its certificate must be issued by a key of the
// verified roster, for this organisation and for the key of this very connection, and not revoked.
// Whether it is a seed is read from the roster, not from what it says.
func (n *Node) admit(peerID string, h wire.Hello) (transport.Peer, error) {
	cert, err := n.checkCert(peerID, h.Cert)
	if err != nil {
		n.refuse(peerID, reasonOfCert(err), "hello: "+err.Error())
		if errors.Is(err, enrol.ErrUntrustedIssuer) && cert.Org == n.member.Org && cert.Peer == peerID {
			n.renewal.unknownIssuer()
		}
		return transport.Peer{}, err
	}
	p := transport.Peer{
		ID: peerID, Site: cert.Site, Name: cert.Name, Groups: cert.Groups,
		Seed: n.isSeed(peerID) || cert.Seed && n.rosterLost(), Egress: h.Egress, HeadVersion: h.HeadVersion, Version: h.Version,
	}
	if p.Site != n.member.Site && !p.Seed && n.seed == nil {
		if err := n.admitAdjacent(p.Site); !errors.Is(err, errForeignSite) {
			return p, err
		}
		// A carrier comes again for a visit, and is not to be cut right after TLS then; nor is whom it serves.
		if !n.mayVisit(cert) && !slices.Contains(n.carriedHere(), cert.Site) {
			n.foreign.knocked(peerID, n.cfg.Now())
		}
		return transport.Peer{}, errForeignSite
	}
	n.renewal.showed(peerID, cert)
	return p, nil
}

// errForeignSite: a machine of another site. It is neither served nor asked.
var errForeignSite = errors.New("the peer belongs to another site")

func (n *Node) checkCert(peerID string, b []byte) (enrol.Certificate, error) {
	m := n.member
	m.Cert = n.renewal.certificate() // the one of today
	return memberCert(n.believer, m, n.cfg.Now(), peerID, b)
}

// memberCert verifies a certificate by the roster in force. One of the own site counts for as long after
// its end as the staleness budget of the site says, while no roster revokes it; no other does, and never
// that of a seed: a stolen machine gains nothing by it anywhere else.
func memberCert(bel *believer, m membership, now time.Time, peerID string, b []byte) (enrol.Certificate, error) {
	t := bel.current()
	roster := t.Roster()
	keys, err := rosterKeys(roster)
	if err != nil {
		return enrol.Certificate{}, err
	}
	if t.Manifest() == nil {
		// Whoever was enrolled by the seed that enrolled this machine may bring the documents again.
		// A session lets nobody do more than that: what it brings is verified from the root on.
		if keys, err = enrol.IssuerOf(m.Cert); err != nil {
			return enrol.Certificate{}, err
		}
	}
	cert, err := bel.certs.Check(b, keys, peerID, now)
	if errors.Is(err, enrol.ErrExpired) && !now.Before(cert.NotBefore) && now.Before(cert.NotAfter.Add(lateness(roster, m, cert))) {
		err = nil
	}
	if err != nil {
		return cert, err
	}
	if cert.Org != m.Org {
		return cert, fmt.Errorf("certificate of organisation %q: %w", cert.Org, enrol.ErrUntrustedIssuer)
	}
	if v, ok := roster.Revocation(peerID); ok {
		return cert, revokedError(v)
	}
	return cert, nil
}

// late is the staleness budget of this machine's site; none on a seed.
func (n *Node) late() time.Duration {
	if n.seed != nil {
		return 0
	}
	return siteLate(n.believer.current(), n.member)
}

func siteLate(t *policy.Trust, m membership) time.Duration { return t.Roster().SiteStale(m.Site) }

// lateness is for how long after its end this machine takes a certificate.
func lateness(r *policy.Roster, m membership, cert enrol.Certificate) time.Duration {
	if cert.Site != m.Site || cert.Seed {
		return 0
	}
	return r.SiteStale(m.Site)
}

// rosterLost: all documents but the root were lost on disk.
func (n *Node) rosterLost() bool { return n.believer.current().Manifest() == nil }

func rosterKeys(r *policy.Roster) ([]ed25519.PublicKey, error) {
	if r == nil {
		return nil, enrol.ErrUntrustedIssuer
	}
	var keys []ed25519.PublicKey
	for _, k := range r.EnrolmentKeys {
		b, err := hex.DecodeString(k)
		if err != nil || len(b) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("enrolment key in the roster: %w", policy.ErrFormat)
		}
		keys = append(keys, b)
	}
	return keys, nil
}

func reasonOfCert(err error) policy.Reason {
	if errors.Is(err, enrol.ErrUntrustedIssuer) {
		return policy.ReasonTrustUnknownKey
	}
	return policy.ReasonTrustBadSignature
}

func (n *Node) isSeed(peerID string) bool {
	r := n.believer.current().Roster()
	return r != nil && slices.ContainsFunc(r.Seeds, func(s policy.SeedEntry) bool { return s.Peer == peerID })
}

// awaitReady holds back what peers send until every part of the node is built; false: it is stopping.
// The port is open before that, so that a port in use is found before anything else is touched.
func (n *Node) awaitReady() bool {
	select {
	case <-n.ready:
		return true
	case <-n.ctx.Done():
		return false
	}
}

// PeerUp tells the core, and remembers the address for the next start.
func (s sessions) PeerUp(p transport.Peer) {
	n := s.n
	if !n.awaitReady() {
		return
	}
	if n.expelled(p.ID) { // the roster changed while it was being admitted
		return
	}
	n.log.Info("peer connected", "peer", p.ID, "name", p.Name, "site", p.Site, "seed", p.Seed, "addr", p.Addr)
	if p.Site != n.member.Site && !p.Seed && n.seed == nil {
		n.adjacentUp(p)
		return
	}
	if n.seed != nil {
		n.seed.sawMachine(p.ID)
		n.sendHints(p)
	}
	if p.Site == n.member.Site || p.Seed {
		n.rememberPeer(p)
	}
	if p.Seed && p.HeadVersion > 0 {
		n.olderHead(p.ID, p.HeadVersion)
	}
	if p.HeadVersion < n.believer.shown() { // it was away, has lost its documents, or its gossip is of another key
		n.tell(swarm.PeerID(p.ID), wire.Head{Timestamp: n.believer.current().Files().Timestamp})
	}
	n.tellRole(p)
	n.contacts.met(p, n.member.Site, n.cfg.Now())
	head, root := n.believer.believable(p.HeadVersion)
	n.events.send(swarm.PeerUp{
		Peer: swarm.PeerID(p.ID), Site: swarm.SiteID(p.Site), Seed: p.Seed, Egress: p.Egress,
		SameSubnet: p.SameSubnet, HeadVersion: head, Root: root,
		Groups: p.Groups, Older: p.Version < wire.VersionRoles, Linkless: p.Version < wire.VersionLinks,
	})
	n.gossipMeet(p)
	n.welcomed()
	n.mule.look()
	if p.Site == n.member.Site || p.Seed {
		n.askGossipKey(p.ID)
	}
	n.askAnswers(p.ID)
}

// PeerDown tells the core.
func (s sessions) PeerDown(id string, why error) {
	s.n.log.Info("peer gone", "peer", id, "why", why)
	s.n.toldRevoked(id, why)
	s.n.contacts.left(id)
	s.n.roots.forget(id)
	s.n.adjacents.down(id)
	s.n.events.send(swarm.PeerDown{Peer: swarm.PeerID(id)})
	s.n.connector.lost(id)
}

// Message turns one message of a member into an event. Sizes were checked by wire; numbers that
// become lengths are checked here.
func (s sessions) Message(from string, m wire.Message) {
	n, id := s.n, swarm.PeerID(from)
	if n.isForeignPeer(from) && !passes(m) {
		n.refuse(from, policy.ReasonNetRefused, "a machine of another site may not send a message of kind "+m.Kind().String())
		return
	}
	switch m := m.(type) {
	case wire.Head:
		n.heardHead(from, m.Timestamp)
		n.askAnswers(from)
	case wire.Flags:
		n.events.send(swarm.PeerChanged{Peer: id, Egress: m.Egress})
	case wire.Have:
		bits, err := content.BitsFromBytes(m.Chunks, m.Bits)
		if err != nil {
			n.refuse(from, policy.ReasonTrustBadChunk, "have-list: "+err.Error())
			return
		}
		n.events.send(swarm.HaveArrived{From: id, Payload: m.Payload, Want: m.Want, Bits: bits})
	case wire.Gained:
		n.events.send(swarm.GainedArrived{From: id, Payload: m.Payload, Indexes: m.Indexes})
	case wire.Lost:
		n.events.send(swarm.LostArrived{From: id, Payload: m.Payload})
	case wire.Synced:
		n.events.send(swarm.PeerSynced{Peer: id})
	case wire.Lease:
		n.events.send(swarm.LeaseHeard{From: id, Payload: m.Payload, Held: m.Held})
	case wire.Spent:
		n.events.send(swarm.SpentHeard{From: id, Entries: m.Entries})
	case wire.Gate:
		n.events.send(swarm.PeerGated{Peer: id, Serve: knownReason(m.Serve), WAN: knownReason(m.WAN)})
	case wire.Report:
		n.reportArrived(from, m)
	case wire.ReportAck:
		n.reportAcked(m)
	case wire.Peers:
		n.hintsArrived(from, m)
	case wire.SitePeers:
		n.sitePeers(from, m)
	case wire.GossipKeyAsk:
		n.gossipKeyAsked(from, m)
	case wire.GossipKey:
		n.gossipKeyArrived(from, m)
	default:
		n.trailMessage(from, m)
	}
}

// ChunkAsked queues the ask; the core answers it with Serve or RefuseUpload.
func (s sessions) ChunkAsked(from string, ref uint64, payload content.ID, index int) {
	s.n.events.send(swarm.UploadAsked{From: swarm.PeerID(from), Ref: ref, Payload: payload, Index: index})
}

// ChunkCancelled withdraws a waiting ask.
func (s sessions) ChunkCancelled(_ string, ref uint64) {
	s.n.events.send(swarm.UploadEnded{Ref: ref})
}

// DocAsked answers a question for a document. Machines of other sites get nothing but what the two sides sign
// about the chunks that went between them.
func (s sessions) DocAsked(from string, ask wire.DocAsk) ([]byte, bool) {
	if s.n.isForeignPeer(from) && ask.Kind != wire.DocReceiptsOwed && ask.Kind != wire.DocReceiptsSigned {
		return nil, false
	}
	return s.n.docAsked(from, ask)
}

// Enrol answers or relays a request to join.
func (s sessions) Enrol(ctx context.Context, peerID, remoteAddr string, request []byte) ([]byte, error) {
	if !s.n.awaitReady() {
		return nil, errors.New("stopping")
	}
	return s.n.enrolAsked(ctx, peerID, remoteAddr, request)
}

// GossipStream hands memberlist's own streams over.
func (s sessions) GossipStream(from string, c net.Conn) {
	if !s.n.awaitReady() || s.n.gossip == nil || s.n.isForeignPeer(from) {
		_ = c.Close()
		return
	}
	s.n.gossip.Accept(from, c)
}

// refuse counts what was turned away, for status and logs.
func (n *Node) refuse(from string, reason policy.Reason, detail string) {
	n.refusalMu.Lock()
	defer n.refusalMu.Unlock()
	now := n.cfg.Now().UTC()
	n.metrics.refused(string(reason))
	for i := range n.refusals {
		r := &n.refusals[i]
		if r.Peer == from && r.Reason == string(reason) {
			r.Count++
			r.At, r.Detail = now, api.Clean(detail)
			return
		}
	}
	n.record(eventOf(swarm.Note{Kind: swarm.NoteRefused, Peer: swarm.PeerID(from), Reason: reason, Text: detail}))
	n.log.Warn("refused", "peer", from, "reason", string(reason), "detail", detail)
	if len(n.refusals) >= maxRefusals {
		n.refusals = slices.Delete(n.refusals, 0, 1)
	}
	n.refusals = append(n.refusals, api.Refusal{At: now, Peer: from, Reason: string(reason), Detail: api.Clean(detail), Count: 1})
}

func (n *Node) refused() []api.Refusal {
	n.refusalMu.Lock()
	defer n.refusalMu.Unlock()
	return slices.Clone(n.refusals)
}
