package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// renewal keeps this machine's membership from lapsing, and ends sessions with those whose membership
// has. A machine that lapsed while it was off is a stranger to all others: they give it no session,
// only the one stream on which it can ask for its next certificate.
type renewal struct {
	n *Node

	mu      sync.Mutex
	cert    []byte // what is shown
	own     enrol.Certificate
	nextAt  time.Time // when to ask
	fails   int
	cuts    int // attempts in a row whose connection was lost
	trouble *trouble
	peers   map[string]shown
	// Renewals that do not wait for half life: see hurry.
	hurried   string    // the withdrawn issuer that has been answered with one
	doubted   bool      // the next one asks for the documents too
	doubtedAt time.Time // no more than one in doubtPause
	kick      transport.Bell
}

// shown is the certificate that a peer has shown last.
type shown struct {
	cert        enrol.Certificate
	withdrawnAt time.Time // when this machine saw that its issuer does not count any more
}

// Pauses after a failure, doubled each time up to the greatest. A lapsed machine is of no use until it
// succeeds, so it asks more often; one that was told no asks seldom.
const (
	renewTick           = time.Second // how often the clock is looked at
	renewFirst          = time.Minute
	renewFirstWithdrawn = 5 * time.Second
	renewAfterCut       = 5 * time.Second // a connection was lost, which says nothing about the next one
	renewCuts           = 3               // taken for that, in a row
	renewMost           = time.Hour
	renewMostLapsed     = 10 * time.Minute
	renewRefused        = 6 * time.Hour
	renewWays           = 12               // asked in one attempt
	lapseGrace          = 10 * time.Minute // clocks differ, and a renewal may be under way
	maxCertificates     = 1 << 16
	renewSpreadShare    = 20 // jitter: up to 1/20 of the life, so that a site invited together does not ask together
)

func newRenewal(n *Node) (*renewal, error) {
	r := &renewal{n: n, peers: map[string]shown{}, kick: transport.NewBell()}
	own, err := enrol.Read(n.member.Cert)
	if err != nil {
		return nil, fmt.Errorf("own certificate in %s: %w", n.cfg.DataDir, err)
	}
	r.set(n.member.Cert, own)
	return r, nil
}

// set takes a certificate for the own one; mu is held or nobody else knows r yet.
func (r *renewal) set(cert []byte, own enrol.Certificate) {
	life := own.NotAfter.Sub(own.NotBefore)
	r.cert, r.own, r.fails, r.cuts, r.trouble, r.doubted = cert, own, 0, 0, nil, false
	r.nextAt = own.NotBefore.Add(life / 2)
	if spread := life / renewSpreadShare; spread > 0 {
		r.nextAt = r.nextAt.Add(mrand.N(spread))
	}
}

// certificate is what this machine shows.
func (r *renewal) certificate() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cert
}

// says is what the own certificate says.
func (r *renewal) says() enrol.Certificate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own
}

// stranger: nobody gives this machine a session, not even within the staleness budget of its site.
func (r *renewal) stranger() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.n.cfg.Now().Before(r.own.NotAfter.Add(r.late(r.own))) || r.withdrawn()
}

// late is for how long after its end a certificate counts here.
func (r *renewal) late(c enrol.Certificate) time.Duration {
	return lateness(r.n.believer.current().Roster(), r.n.member, c)
}

// over: the own certificate has ended or its issuer was withdrawn, whether or not others take it for a while
// yet; mu is held.
func (r *renewal) over() bool { return !r.n.cfg.Now().Before(r.own.NotAfter) || r.withdrawn() }

func (r *renewal) lastTrouble() *trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

func (r *renewal) info() *api.Membership {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &api.Membership{Serial: r.own.Serial, NotBefore: r.own.NotBefore.UTC(), NotAfter: r.own.NotAfter.UTC(), RenewAt: r.nextAt.UTC()}
	end := r.own.NotAfter.Add(r.late(r.own))
	if m.Lapsed = !r.n.cfg.Now().Before(end); end.After(r.own.NotAfter) {
		m.TakenUntil = end.UTC()
	}
	if r.trouble != nil {
		m.Trouble = r.trouble.detail
	}
	return m
}

// run looks at the clock: the node's own, so that a test can turn it, and a machine that slept asks at
// once.
func (r *renewal) run(ctx context.Context) {
	t := time.NewTicker(renewTick)
	defer t.Stop()
	for {
		if r.due() {
			r.attempt(ctx)
		}
		r.dropLapsed()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-r.kick:
		}
	}
}

// due: it is time, or the clock was set back so far that the time noted means nothing any more.
func (r *renewal) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hurry()
	wait := r.nextAt.Sub(r.n.cfg.Now())
	return wait <= 0 || wait > certLife
}

// attempt asks once and says what came of it.
func (r *renewal) attempt(ctx context.Context) {
	n := r.n
	err := r.renew(ctx)
	if errors.Is(err, errNobody) && r.byErrand(ctx) {
		return
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	if r.cutOff(err) {
		r.mu.Unlock()
		return
	}
	r.fails++
	first, most := renewFirst, renewMost
	if r.over() {
		most = renewMostLapsed
	}
	if r.withdrawn() { // the seed is most likely there: it has just said so
		first = renewFirstWithdrawn
	}
	pause := min(first<<min(r.fails-1, 10), most)
	t := &trouble{reason: policy.ReasonNetNoReportPath, detail: r.story() + err.Error()}
	var refused *refusedError
	if errors.As(err, &refused) && refused.code != enrol.CodeBusy {
		pause, t.reason = renewRefused, policy.ReasonNetRefused
	}
	pause += mrand.N(pause / 4)
	r.nextAt = n.cfg.Now().Add(pause)
	if refused != nil || r.fails > 2 || most == renewMostLapsed { // a seed that is off for a minute is no news
		r.trouble = t
	}
	r.mu.Unlock()
	n.log.Warn("membership not renewed", "err", err, "ends", r.own.NotAfter, "again_in", pause.Round(time.Second))
}

// cutOff: the attempt failed with its connection, and the next one is soon. Most often both sides have just
// connected anew, or the one that was asked has restarted. One that goes on like that has failed like any other.
// mu is held.
func (r *renewal) cutOff(err error) bool {
	if r.cuts++; !errors.Is(err, transport.ErrGone) || r.cuts > renewCuts {
		r.cuts = 0
		return false
	}
	pause := renewAfterCut + mrand.N(renewAfterCut/4)
	r.nextAt = r.n.cfg.Now().Add(pause)
	r.n.log.Info("membership not renewed: cut off", "err", err, "again_in", pause.Round(time.Second))
	return true
}

// story begins what people read; mu is held.
func (r *renewal) story() string {
	end := r.own.NotAfter
	if r.withdrawn() {
		return "the key that has signed the membership was withdrawn, and no other has signed it yet: "
	}
	if r.n.cfg.Now().Before(end) {
		return "the membership ends on " + end.UTC().Format(time.DateOnly) + " and is not renewed yet: "
	}
	return "the membership lapsed on " + end.UTC().Format(time.DateOnly) + " and is not renewed: "
}

// refusedError is the seed's own word.
type refusedError struct {
	code   enrol.Code
	reason string
}

func (e *refusedError) Error() string {
	s := "the seed refused: " + api.Clean(e.reason)
	switch e.code {
	case enrol.CodeLapsed, enrol.CodeUnknown, enrol.CodeReplaced, enrol.CodeRevoked:
		s += "; to come back this machine needs a new token ('patchmesh invite' on the seed) and an empty data folder"
	}
	return s
}

var (
	errNobody    = errors.New("no seed and no machine that leads to one was reached")
	errUnchanged = errors.New("the seed gave the same certificate again: see that both clocks are right")
)

// renew gets the next certificate and makes it durable before it is shown.
func (r *renewal) renew(ctx context.Context) error {
	n := r.n
	if n.seed != nil {
		return r.renewSeed()
	}
	r.mu.Lock()
	serial, root := r.own.Serial, int64(0)
	if t := n.believer.current(); r.over() || r.doubted || t.Stale(n.cfg.Now()) {
		root = t.RootVersion()
	}
	r.mu.Unlock()
	p, err := enrol.NewRenewal(n.member.Box, n.key, serial, root, rand.Reader)
	if err != nil {
		return err
	}
	a, err := r.ask(ctx, p)
	if err != nil {
		return err
	}
	if a.Status != enrol.StatusMember {
		return &refusedError{a.Code, a.Reason}
	}
	if len(a.Documents) > 0 {
		if err := n.catchUp(a.Documents); err != nil {
			n.log.Warn("documents that came with the membership not taken up", "err", err)
		}
	}
	err = r.takeUp(a.Cert)
	if errors.Is(err, enrol.ErrUntrustedIssuer) { // its roster is not here: the next answer brings it
		r.mu.Lock()
		r.doubted = true
		r.mu.Unlock()
	}
	if errors.Is(err, errUnchanged) && r.answered() {
		return nil
	}
	return err
}

// catchUp follows documents that a seed has sent along, by the same rules as those from anybody else.
func (n *Node) catchUp(docs map[string][]byte) error {
	byID := map[content.ID][]byte{}
	for _, b := range docs {
		byID[content.Sum(b)] = b
	}
	walk := n.believer.current().RefreshLate(docs["timestamp"], n.cfg.Now(), n.late())
	for need, more := walk.Need(); more; need, more = walk.Need() {
		b := byID[need.ID]
		if need.RootVersion > 0 {
			b = docs[rootKey(need.RootVersion)] // none: there is no newer one
		} else if b == nil {
			return fmt.Errorf("%s is missing: %w", need.Role, content.ErrNotFound)
		}
		if err := walk.Supply(b); err != nil {
			return fmt.Errorf("%s: %w", need.Role, err)
		}
	}
	t, err := walk.Result()
	if err != nil {
		return err
	}
	if err := n.takeUp(t, via{how: api.SyncMembership, began: n.cfg.Now()}); err != nil {
		return err
	}
	n.events.send(n.manifestEvent(0, t))
	return nil
}

// renewSeed: a seed is the issuer of its own.
func (r *renewal) renewSeed() error {
	n := r.n
	serial, err := n.db.NextSerial()
	if err != nil {
		return err
	}
	by, err := n.seed.issuer()
	if err != nil {
		return err
	}
	cert, err := enrol.Issue(seedCertificate(n.member, n.id, serial, n.cfg.Now()), by)
	if err != nil {
		return err
	}
	return r.takeUp(cert)
}

func seedCertificate(m membership, id string, serial uint64, now time.Time) enrol.Certificate {
	return enrol.Certificate{
		Serial: serial, Org: m.Org, Site: m.Site, Name: m.Name, Peer: id, Seed: true, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLife),
	}
}

// takeUp believes a certificate that is as good as others will demand, and no other: it must be of this
// key, place and organisation, by a key of the roster, and be news, see adoptCert.
func (r *renewal) takeUp(cert []byte) error {
	n := r.n
	own, err := adoptCert(n.db, n.believer, n.cfg.Now(), n.id, cert)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.set(cert, own)
	next := r.nextAt
	r.mu.Unlock()
	n.log.Info("membership renewed", "serial", own.Serial, "ends", own.NotAfter, "next", next)
	if n.gossip != nil {
		if err := n.gossip.ShowMeta(); err != nil {
			n.log.Debug("new certificate not gossiped yet", "err", err)
		}
	}
	n.connector.poke()
	return nil
}

// adoptCert makes a new certificate durable. errUnchanged if it lasts no longer than the one at hand, unless
// that one comes from the future, because a clock was wrong, or counts no more, because its issuer does not.
func adoptCert(db *state.DB, bel *believer, now time.Time, id string, cert []byte) (enrol.Certificate, error) {
	m, err := loadMembership("", db)
	if err != nil {
		return enrol.Certificate{}, err
	}
	own, err := memberCert(bel, m, now, id, cert)
	switch {
	case err != nil:
		return own, fmt.Errorf("the new certificate: %w", err)
	case own.Site != m.Site:
		return own, fmt.Errorf("the new certificate is for site %s: %w", api.Clean(own.Site), enrol.ErrWrongPeer)
	}
	old, err := enrol.Read(m.Cert)
	if err != nil {
		return own, err
	}
	gone := !issuerCounts(bel.current().Roster(), old.Issuer)
	if !own.NotAfter.After(old.NotAfter) && !now.Before(old.NotBefore) && !gone {
		return own, errUnchanged
	}
	m.Cert = cert
	return own, saveMembership(db, m)
}

// ask tries the ways until an answer opens. Who carries it can do no more than keep silent.
func (r *renewal) ask(ctx context.Context, p *enrol.Pending) (*enrol.Answer, error) {
	last := errNobody
	for _, w := range r.ways() {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		a, err := askOne(ctx, r.n.host, w, p)
		if err == nil {
			return a, nil
		}
		if !errors.Is(last, transport.ErrGone) { // that one may answer in a moment
			last = fmt.Errorf("%w: %s: %w", errNobody, w.Addr, err)
		}
	}
	return nil, last
}

// ways lists whom to ask: the way of a request to join, then the machines of the site, then, for one
// that nobody gives a session, whoever was there before.
func (r *renewal) ways() []wire.PeerAddr {
	n := r.n
	var out []wire.PeerAddr
	seen := map[string]bool{}
	add := func(id, addr string) {
		if addr == "" || seen[addr] || len(out) >= renewWays || id == n.id || addr == n.host.ListenAddr() || n.isSeedAddr(addr) && !n.mayEgress() {
			return
		}
		seen[addr] = true
		out = append(out, wire.PeerAddr{ID: id, Addr: addr})
	}
	for _, s := range n.believer.current().Roster().Seeds {
		for _, w := range n.waysTo(s) {
			add(w.ID, w.Addr)
		}
	}
	for _, p := range n.newsPeers() {
		add(p.ID, p.Addr)
	}
	if known, err := n.db.KnownPeers(renewWays); err == nil {
		for _, p := range known {
			add(p.ID, p.Addr)
		}
	}
	for _, a := range append(append([]string{}, n.cfg.Peers...), n.member.Peers...) {
		add("", a)
	}
	return out
}
