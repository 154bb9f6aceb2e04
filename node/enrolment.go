package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// Life of a membership. Short, so that a machine that cannot be told of a revocation is locked out
// soon; the grace lets a machine that was off for long come back by itself. A revocation is kept until
// the machine's last certificate is past both.
const (
	certLife   = 7 * 24 * time.Hour
	renewGrace = 180 * 24 * time.Hour
)

// newToken makes a token of an invitation that has been checked.
func (s *seed) newToken(r api.InviteRequest) (*api.Invite, error) {
	t := s.believer.current()
	i := slices.IndexFunc(t.Roster().Seeds, func(e policy.SeedEntry) bool { return e.Site == s.member.Site })
	if i < 0 {
		return nil, api.Errorf(api.ClassRefused, "the roster names no seed here")
	}
	if err := s.checkNames(r); err != nil {
		return nil, err
	}
	box, err := enrol.BoxPublic(s.box)
	if err != nil {
		return nil, err
	}
	tok := enrol.Token{
		Secret: make([]byte, 32), SeedPeer: t.Roster().Seeds[i].Peer, Box: box, RootDigest: content.Sum(t.Files().Root),
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
	if err := s.db.PutToken(state.TokenRow{
		Hash: tok.Hash(), Site: r.Site, Groups: r.Groups, UsesLeft: r.Uses, ExpiresAt: expires, Approve: r.ApproveEach, NamePattern: r.NamePattern,
	}); err != nil {
		return nil, err
	}
	return &api.Invite{
		Token: text, Site: r.Site, Groups: nonNil(r.Groups), Uses: r.Uses, ExpiresAt: expires.UTC(), ApproveEach: r.ApproveEach, NamePattern: r.NamePattern,
	}, nil
}

// checkNames refuses what would only fail on the machines: a pattern that matches nothing, and groups
// so many that a certificate cannot hold them.
func (s *seed) checkNames(r api.InviteRequest) error {
	if _, err := path.Match(r.NamePattern, "x"); err != nil || len(r.NamePattern) > 64 || api.Clean(r.NamePattern) != r.NamePattern {
		return api.Errorf(api.ClassUsage, "%q is no pattern of machine names", api.Clean(r.NamePattern)).
			WithHint("* stands for any characters, ? for one, [ab] for a choice: till-*")
	}
	if !s.fits(r.Site, r.Groups, strings.Repeat("n", 15)) {
		return api.Errorf(api.ClassUsage, "organisation, site and %d groups are too long for a membership certificate", len(r.Groups)).
			WithHint("use fewer groups, or shorter names")
	}
	return nil
}

// fits says whether a certificate can be issued for the name, with the number that may be added to it.
func (s *seed) fits(site string, groups []string, name string) bool {
	key, err := s.issuer()
	if err != nil {
		return true // it is told when the certificate is made
	}
	_, err = enrol.Issue(s.certificate(state.MemberRow{
		ID: s.id(), Serial: 1 << 62, Site: site, Groups: groups, Name: name + "-9999", NotBefore: s.now(), NotAfter: s.now(),
	}), key)
	return err == nil
}

// certificate is what a row of the books says. Nothing of a request but the name gets into it: the site
// and the groups are the token's, the key is the one that has signed the request.
func (s *seed) certificate(m state.MemberRow) enrol.Certificate {
	return enrol.Certificate{
		Serial: m.Serial, Org: s.member.Org, Site: m.Site, Name: m.Name, Groups: m.Groups, Peer: m.ID, NotBefore: m.NotBefore, NotAfter: m.NotAfter,
	}
}

// enrolAsked answers a request to join or to renew on a seed, and carries it on elsewhere. The relay
// learns nothing: request and answer are sealed between machine and seed.
func (n *Node) enrolAsked(ctx context.Context, peerID, remoteAddr string, request []byte) ([]byte, error) {
	limiter, who := n.strangers, enrol.AddrKey(remoteAddr)
	if n.connected()[peerID] { // it may speak for a whole site
		limiter, who = n.relays, peerID
	}
	if !limiter.Allow(who, n.cfg.Now()) {
		n.metrics.refused("enrol-too-often")
		return nil, errTooOften
	}
	if n.seed != nil {
		b, v, err := n.seed.answer(request)
		if v.failed {
			limiter.Failed(who, n.cfg.Now())
		}
		n.noteVerdict(v, remoteAddr)
		return b, err
	}
	if limiter == n.strangers { // what becomes of it is sealed: each one counts
		limiter.Failed(who, n.cfg.Now())
	}
	var last error = errors.New("no way to the seed from here")
	for _, s := range n.believer.current().Roster().Seeds {
		for _, a := range n.waysTo(s) {
			if a.ID == peerID {
				continue // it came from there
			}
			b, err := n.host.EnrolWith(ctx, a.ID, a.Addr, request)
			if err == nil {
				return b, nil
			}
			last = err
		}
	}
	if b := n.errands.answerTo(request); b != nil { // a medium has brought it
		return b, nil
	}
	if err := n.errands.stray(peerID, request); err != nil {
		n.log.Warn("a request for renewal was not kept for the next medium", "err", err)
	}
	n.log.Debug("enrolment not carried on", "err", last)
	return nil, errNoWay
}

// What a stranger is told in the clear: no names, no addresses.
var (
	errTooOften = errors.New("too many requests from your address: try again in a minute")
	errNoWay    = errors.New("the seed cannot be reached from here")
	errNotOurs  = errors.New("not a request that this seed can read")
)

// How many requests are free, and how long each further one takes. On a seed only failures count, of a
// stranger's address and of a member that carries those of its site. A relay cannot tell: there all
// count, but fewer than the seed takes from it, so that one stranger does not use up the relay's share.
const (
	strangerBurst = 20
	strangerPause = 3 * time.Second
	carriedBurst  = 100
	carriedPause  = time.Second
	relayBurst    = 400
	relayPause    = 100 * time.Millisecond
)

func (n *Node) limitEnrolment() {
	n.strangers, n.relays = enrol.NewLimiter(carriedBurst, carriedPause), enrol.NewLimiter(relayBurst, relayPause)
	if n.seed != nil {
		n.strangers = enrol.NewLimiter(strangerBurst, strangerPause)
	}
}

// waysTo lists whom to hand a request to: the seed itself where this machine may use the WAN, else
// the uplink of the site, which is one hop nearer.
func (n *Node) waysTo(s policy.SeedEntry) []wire.PeerAddr {
	var out []wire.PeerAddr
	if n.mayEgress() || s.Site == n.member.Site {
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

// verdict is what became of a request, for the log.
type verdict struct {
	kind       enrol.Kind
	status     enrol.Status // empty: it was not readable
	peer, name string
	cause      error
	failed     bool // through the fault of who asked
}

// noteVerdict keeps who came in and who did not. A refusal that a stranger caused is a warning.
func (n *Node) noteVerdict(v verdict, from string) {
	say := n.log.Info
	if v.cause != nil && v.status != enrol.StatusWaiting {
		say = n.log.Warn
	}
	say("enrolment", "kind", v.kind, "status", v.status, "peer", v.peer, "name", api.Clean(v.name), "from", from, "cause", v.cause)
}

// answer turns a sealed request into a sealed answer. What it promises is durable before it returns. An
// error means that the request was not readable; everything else, a refusal too, is told under seal.
func (s *seed) answer(request []byte) ([]byte, verdict, error) {
	o, err := enrol.OpenRequest(s.box, request)
	if err != nil {
		return nil, verdict{cause: err, failed: true}, errNotOurs
	}
	v := verdict{kind: o.Kind, status: enrol.StatusMember, peer: o.Peer, name: o.Name}
	var a enrol.Answer
	m, err := s.admit(o)
	if err == nil {
		v.name = m.Name
		a, err = s.membership(o, m)
	}
	switch v.cause = err; {
	case errors.Is(err, state.ErrWaiting):
		a = enrol.Answer{Status: enrol.StatusWaiting, RequestID: enrol.RequestID(o.TokenHash, o.Peer)}
	case err != nil:
		code, reason := refusal(err)
		a = enrol.Answer{Status: enrol.StatusRefused, Code: code, Reason: reason}
		v.failed = code != enrol.CodeBusy
	}
	v.status = a.Status
	b, err := o.Answer(a)
	return b, v, err
}

// admit decides, in one durable step.
func (s *seed) admit(o *enrol.Opened) (state.MemberRow, error) {
	if err := s.whole(); err != nil { // without the roster nobody knows who was locked out
		return state.MemberRow{}, err
	}
	if s.believer.current().Roster().IsRevoked(o.Peer) {
		return state.MemberRow{}, errRevoked
	}
	if o.Kind == enrol.KindRenew {
		return s.db.Renew(o.Peer, certLife, renewGrace, s.now())
	}
	if !policy.ValidName(o.Name) {
		return state.MemberRow{}, errBadName
	}
	t, err := s.db.Token(o.TokenHash)
	if err != nil {
		return state.MemberRow{}, err
	}
	if !s.fits(t.Site, t.Groups, o.Name) { // before a use is spent on it
		return state.MemberRow{}, errBadName
	}
	return s.db.Enrol(state.Applicant{
		Token: o.TokenHash, Machine: o.Peer, ID: enrol.RequestID(o.TokenHash, o.Peer), Name: o.Name, Hardware: o.Hardware,
		Life: certLife, Grace: renewGrace, Alive: s.isAlive,
	}, s.now())
}

var errBadName = errors.New("no valid name for a machine, or too long for a certificate")

// isAlive: the machine has a session here or was in contact just now.
func (s *seed) isAlive(id string) bool {
	if s.connected != nil && s.connected()[id] {
		return true
	}
	at, err := s.db.ContactAt(id)
	return err == nil && s.now().Sub(at) < onlineFor
}

// refusal says why not. What is wrong with the seed itself is none of a stranger's business.
func refusal(err error) (enrol.Code, string) {
	for _, r := range []struct {
		err  error
		code enrol.Code
	}{
		{state.ErrTokenUnknown, enrol.CodeUnknown}, {state.ErrNotFound, enrol.CodeUnknown}, {state.ErrTokenExpired, enrol.CodeExpired},
		{state.ErrTokenSpent, enrol.CodeSpent}, {state.ErrTokenName, enrol.CodeName}, {errBadName, enrol.CodeName},
		{state.ErrRejected, enrol.CodeRejected}, {errRevoked, enrol.CodeRevoked}, {state.ErrReplaced, enrol.CodeReplaced},
		{state.ErrLapsed, enrol.CodeLapsed}, {state.ErrTooMany, enrol.CodeBusy},
	} {
		if errors.Is(err, r.err) {
			if r.err == state.ErrNotFound {
				return r.code, "this machine is no member here"
			}
			return r.code, r.err.Error()
		}
	}
	return enrol.CodeBusy, "the seed cannot keep the request now"
}

// membership is the answer to a machine that is a member.
func (s *seed) membership(o *enrol.Opened, m state.MemberRow) (enrol.Answer, error) {
	by, err := s.issuer()
	if err != nil {
		return enrol.Answer{}, err
	}
	signed, err := enrol.Issue(s.certificate(m), by)
	if err != nil {
		return enrol.Answer{}, err
	}
	key, err := s.enrolGossipKey(m.Site)
	if err != nil {
		return enrol.Answer{}, err
	}
	a := enrol.Answer{Status: enrol.StatusMember, Org: s.member.Org, Site: m.Site, Name: m.Name, Groups: m.Groups, Cert: signed, GossipKey: key}
	if t := s.believer.current(); o.Kind == enrol.KindJoin || o.Root > 0 {
		a.Documents = s.firstDocuments(t)
		for v := o.Root + 1; o.Kind == enrol.KindRenew && v <= min(t.RootVersion(), o.Root+maxRootsTold); v++ {
			if b, err := s.db.Value(rootKey(v)); err == nil {
				a.Documents[rootKey(v)] = b
			}
		}
	}
	return a, nil
}

// maxRootsTold bounds the roots in one answer: a machine that is off for 180 days misses one or two.
const maxRootsTold = 8

// firstDocuments is the chain that a new machine begins with: the pinned root and what follows.
func (s *seed) firstDocuments(t *policy.Trust) map[string][]byte {
	f := t.Files()
	return map[string][]byte{
		"root": f.Root, "timestamp": f.Timestamp, "snapshot": f.Snapshot, "targets": f.Targets,
		"roster-role": f.RosterRole, "roster": f.Roster, "manifest": f.Manifest, "delegated": f.Delegated,
	}
}

// isRefused: the other machine said no in the clear. It may be a relay that lies.
func isRefused(err error) bool { return errors.Is(err, transport.ErrRefused) }
