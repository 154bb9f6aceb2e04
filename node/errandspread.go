package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// This file is how errands spread in a site without a way to the seed: requests to the machine that packs
// a medium, answers from the one that was fed.

// cutOff: no way to the seed is known. Where there is one, renewals go that way.
func (n *Node) cutOff() bool {
	return n.seed == nil && !n.hasSeedSession() && n.view.Load().Uplink == ""
}

func (n *Node) errandsAsked() ([]byte, bool) {
	if !n.cutOff() {
		return nil, false
	}
	b, err := n.errands.encode()
	if err != nil {
		n.log.Warn("requests for renewal not given", "err", err)
	}
	return b, err == nil
}

func (n *Node) answersAsked(ask wire.DocAsk) ([]byte, bool) {
	if n.seed != nil {
		return nil, false
	}
	b, at := n.errands.answers()
	return b, b != nil && at.Unix() > ask.RootVersion
}

// gatherErrands asks a neighbour for the requests that it knows.
func (n *Node) gatherErrands(ctx context.Context, from string) {
	ctx, cancel := context.WithTimeout(ctx, reportAskEvery)
	defer cancel()
	b, err := n.host.FetchDoc(ctx, from, wire.DocAsk{Kind: wire.DocErrands, MaxBytes: maxErrandsBytes})
	if err != nil {
		return
	}
	wrong, err := n.errands.take(b)
	if wrong != nil {
		n.refuse(from, policy.ReasonTrustBadSignature, wrong.Error())
	}
	if err != nil {
		n.log.Warn("requests for renewal not kept", "err", err)
	}
}

// asking holds back questions for answers: one at a time per neighbour, and a pause behind it.
type asking struct {
	mu   sync.Mutex
	busy map[string]bool
}

// answersPause is the time between two questions to one neighbour. What it tells of within it is asked for
// at its end.
const answersPause = time.Second

// askAnswers asks a neighbour whether it has a newer list of renewals. It has told of a head, or has just
// come: whoever was fed from a medium tells everybody.
func (n *Node) askAnswers(from string) {
	if !n.cutOff() {
		return
	}
	if site, ok := n.siteOfPeer(from); !ok || site != n.member.Site {
		return
	}
	a := &n.asking
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy == nil {
		a.busy = map[string]bool{}
	}
	if _, busy := a.busy[from]; busy {
		a.busy[from] = true // it will be asked once more
		return
	}
	a.busy[from] = false
	n.work(func() { n.fetchAnswers(from) })
}

func (n *Node) fetchAnswers(from string) {
	for {
		n.fetchAnswersOnce(from)
		select {
		case <-n.ctx.Done():
		case <-time.After(answersPause):
		}
		a := &n.asking
		a.mu.Lock()
		again := a.busy[from] && n.ctx.Err() == nil
		if again {
			a.busy[from] = false
		} else {
			delete(a.busy, from)
		}
		a.mu.Unlock()
		if !again {
			return
		}
	}
}

func (n *Node) fetchAnswersOnce(from string) {
	ctx, cancel := context.WithTimeout(n.ctx, docTimeout)
	defer cancel()
	_, at := n.errands.answers()
	b, err := n.host.FetchDoc(ctx, from, wire.DocAsk{Kind: wire.DocAnswers, RootVersion: max(at.Unix(), 0), MaxBytes: maxAnswersBytes})
	if err != nil {
		return
	}
	if _, err := n.takeAnswers(b); err != nil && api.ClassOf(err) == api.ClassRefused {
		n.refuse(from, policy.ReasonTrustBadSignature, err.Error())
	}
}

// takeAnswers keeps a list, takes this machine's own renewal from it and tells the neighbours.
func (n *Node) takeAnswers(b []byte) (*api.TakenAnswers, error) {
	out, newer, err := takeAnswers(n.errands, b)
	if err != nil || !newer {
		return out, err
	}
	out.Renewed, out.Detail = n.renewal.fromErrand()
	if n.ctx.Err() == nil && n.core != nil {
		n.announce()
	}
	return out, nil
}

// takeAnswers keeps a list that holds and is newer.
func takeAnswers(e *errands, b []byte) (out *api.TakenAnswers, newer bool, err error) {
	newer, n, err := e.takeAnswers(b)
	switch {
	case errors.Is(err, errForeignSite):
		return &api.TakenAnswers{Detail: api.Clean(err.Error())}, false, nil
	case errors.Is(err, enrol.ErrUntrustedIssuer), errors.Is(err, content.ErrFormat):
		return nil, false, api.Errorf(api.ClassRefused, "%v", err)
	case err != nil:
		return nil, false, spaceClass(err)
	}
	return &api.TakenAnswers{Answers: n, Newer: newer}, newer, nil
}

// fromErrand takes up the certificate that a medium has brought for this machine, if it is a later one.
func (r *renewal) fromErrand() (renewed bool, why string) {
	a, err := r.n.errands.mine()
	if err == nil && a == nil {
		return false, ""
	}
	if err == nil && a.Status != enrol.StatusMember {
		err = &refusedError{a.Code, a.Reason}
	}
	if err == nil {
		err = r.takeUp(a.Cert)
	}
	if errors.Is(err, errUnchanged) {
		return false, ""
	}
	if err != nil {
		r.n.log.Warn("renewal from a medium not taken up", "err", err)
		return false, api.Clean(err.Error())
	}
	return true, ""
}

// byErrand looks whether a medium has brought the renewal, here or to a neighbour. Each neighbour that is
// asked keeps the request for the next medium: so does that of a machine come on its way which has lapsed,
// and which nobody gives a session.
func (r *renewal) byErrand(ctx context.Context) bool {
	if ok, _ := r.fromErrand(); ok {
		return true
	}
	n := r.n
	own, err := n.errands.own()
	if err != nil || own == nil {
		return false
	}
	all, err := n.errands.pendings()
	if err != nil || len(all) == 0 {
		return false
	}
	p := all[len(all)-1].p
	for _, w := range r.ways() {
		if ctx.Err() != nil {
			return false
		}
		if a, err := askOne(ctx, n.host, w, p); err == nil && a.Status == enrol.StatusMember && r.takeUp(a.Cert) == nil {
			return true
		}
	}
	return false
}

// errandBookKey is where a seed keeps the requests of a site's machines.
func errandBookKey(site string) string { return "errands." + site }

// takeErrands keeps at the seed what has come from a site: of each machine the newest that came. Who
// carried it does not matter, the request itself proves whose it is.
func (s *seed) takeErrands(requests [][]byte) (taken, refused int, err error) {
	bySite := map[string]map[string][]byte{}
	for _, b := range requests {
		o, err := enrol.OpenRequest(s.box, b)
		if err != nil || o.Kind != enrol.KindRenew || s.enrolled(o.Peer) != nil {
			refused++
			continue
		}
		m, err := s.db.Member(o.Peer)
		if err != nil {
			return taken, refused, err
		}
		if bySite[m.Site] == nil {
			bySite[m.Site] = map[string][]byte{}
		}
		bySite[m.Site][o.Peer] = b
		taken++
	}
	for site, fresh := range bySite {
		k := s.errandsOf(site)
		for id, b := range fresh {
			if _, known := k[id]; known || len(k) < maxErrands {
				k[id] = b
			}
		}
		if err := s.keepErrands(site, k); err != nil {
			return taken, refused, err
		}
	}
	return taken, refused, nil
}

func (s *seed) errandsOf(site string) map[string][]byte {
	k := map[string][]byte{}
	if b, err := s.db.Value(errandBookKey(site)); err == nil {
		_ = json.Unmarshal(b, &k) // a damaged book fills again with the next return
	}
	return k
}

func (s *seed) keepErrands(site string, k map[string][]byte) error {
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return s.db.PutValue(errandBookKey(site), b)
}

// giveAnswers answers the requests of a site's machines, or of all sites, anew: certificates begin when
// the medium is packed, not when the request was made.
func (s *seed) giveAnswers(site string) ([]byte, error) {
	sites := []string{site}
	if site == "" {
		sites = s.sites()
	}
	l := answerList{Org: s.member.Org, Site: site, At: s.now().UTC(), Answers: []errandsAnswer{}}
	for _, name := range sites {
		k := s.errandsOf(name)
		for id, b := range k {
			m, err := s.db.Member(id)
			if err != nil || m.Site != name || len(l.Answers) >= maxAnswers {
				continue
			}
			a, v, err := s.answer(b)
			if err != nil || v.kind != enrol.KindRenew || v.peer != id {
				continue
			}
			l.Answers = append(l.Answers, errandsAnswer{content.Sum(b), a})
		}
	}
	if len(l.Answers) == 0 {
		return nil, nil
	}
	slices.SortFunc(l.Answers, func(a, b errandsAnswer) int { return a.Request.Compare(b.Request) })
	by, err := s.issuer()
	if err != nil {
		return nil, err
	}
	b, err := l.sign(by)
	if err == nil && len(b) > maxAnswersBytes {
		err = fmt.Errorf("list of renewals of %d bytes: %w", len(b), content.ErrFormat)
	}
	return b, err
}

// giveErrands collects at a site what goes to the seed: of all neighbours that can be asked, and what they
// told before.
func (c *carrier) giveErrands(ctx context.Context) ([][]byte, error) {
	if c.seed != nil {
		return nil, nil
	}
	if c.live() {
		c.eachNeighbour(func(id string) { c.n.gatherErrands(ctx, id) })
	}
	return c.errands().requests()
}

func (c *carrier) errands() *errands {
	if c.n != nil {
		return c.n.errands
	}
	return &errands{db: c.db, key: c.key, id: c.id, believer: c.believer, now: c.now}
}

// giveAnswers implements api.Carrier.GiveAnswers.
func (c *carrier) giveAnswers(q api.CargoQuery) ([]byte, error) {
	if c.seed != nil {
		return c.seed.giveAnswers(q.Site)
	}
	b, _ := c.errands().answers()
	return b, nil
}

// takeAnswers implements api.Carrier.TakeAnswers.
func (c *carrier) takeAnswers(b []byte) (*api.TakenAnswers, error) {
	if c.seed != nil {
		return &api.TakenAnswers{}, nil
	}
	if c.n != nil {
		return c.n.takeAnswers(b)
	}
	e := c.errands()
	out, newer, err := takeAnswers(e, b)
	if err != nil || !newer {
		return out, err
	}
	a, err := e.mine()
	if err != nil || a == nil {
		return out, err
	}
	if a.Status != enrol.StatusMember {
		out.Detail = (&refusedError{a.Code, a.Reason}).Error()
		return out, nil
	}
	switch _, err := adoptCert(c.db, c.believer, c.now(), c.id, a.Cert); {
	case err == nil:
		out.Renewed = true
	case !errors.Is(err, errUnchanged):
		out.Detail = api.Clean(err.Error())
	}
	return out, nil
}
