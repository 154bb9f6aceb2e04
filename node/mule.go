package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/control"
	"patchmesh/node/media"
	"patchmesh/node/state"
	"patchmesh/node/transport"
)

// mule makes this machine a carrier between sites without a network, where signed policy says so (setting
// carries): a laptop that goes round. Where it meets a seed nearby it packs for each of its sites the bundle that
// a stick would bring there, into its own data folder; where it meets a machine of such a site it feeds that
// machine and takes the way back; what comes back goes to the next seed. Nobody gives a command. Both
// directions are those of a medium (bundleexport.go, bundleimport.go, bundlereturn.go), with the other machine
// at the end of a stream in the place of the local one.
//
//	seed ──pack──▶ carry/<site>/pm-bundle ──feed──▶ machine of the site
//	     ◀─hand in──        returns        ◀─────── signed reports, have-list, requests for renewal
type mule struct {
	n    *Node
	kick transport.Bell

	mu  sync.Mutex
	met map[string]*metMachine // by peer ID: machines of other sites, near by

	// Owned by run.
	nextPack map[string]time.Time // by site: not before, after a failure
	visited  map[string]time.Time // by site: when one of its machines was served
}

// metMachine is one that turned this machine away as a neighbour, and may take it for a carrier.
type metMachine struct {
	id, addr string
	site     string // known once it was visited
	nextAt   time.Time
	fails    int
}

const (
	carryFolder     = "carry"
	muleTick        = time.Second // how often it is looked what is due
	defaultRevisit  = 5 * time.Minute
	packAgainAfter  = 12 * time.Hour // renewals are answered anew
	packRetry       = time.Minute
	packRefused     = 15 * time.Minute // no machine is enrolled there, or policy has changed meanwhile
	visitRetryFirst = 5 * time.Second
	maxMet          = 256
	maxVisitFails   = 12 // then it is not here any more
)

func newMule(n *Node) *mule {
	return &mule{n: n, kick: transport.NewBell(), met: map[string]*metMachine{}, nextPack: map[string]time.Time{}, visited: map[string]time.Time{}}
}

// turnedAway notes a machine that does not take this one for a neighbour. False: this machine carries nothing.
func (m *mule) turnedAway(id, addr string, err error) bool {
	if id == "" || !isForeign(err) && !errors.Is(err, transport.ErrNotAdmitted) || len(m.n.carriedHere()) == 0 {
		return false
	}
	m.meet(id, addr, "")
	m.look()
	return true
}

// meet notes where a machine is.
func (m *mule) meet(id, addr, site string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.met[id]
	if h == nil && len(m.met) >= maxMet {
		return
	}
	if h == nil {
		h = &metMachine{id: id}
		m.met[id] = h
	}
	h.addr, h.site = addr, first(site, h.site)
}

// look has run look now.
func (m *mule) look() {
	m.kick.Ring()
}

// run goes round for as long as the node works. One thing at a time: what it moves is bulk.
func (m *mule) run(ctx context.Context) {
	t := time.NewTicker(muleTick)
	defer t.Stop()
	for {
		m.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-m.kick:
		}
	}
}

func (m *mule) round(ctx context.Context) {
	sites := m.n.carriedHere()
	m.drop(sites)
	if len(sites) == 0 {
		return
	}
	for _, p := range m.n.host.Peers() {
		if p.Seed && ctx.Err() == nil {
			m.home(ctx, p, sites)
		}
	}
	for _, p := range m.n.host.Peers() { // of its own site, if it serves that too
		if !p.Seed && slices.Contains(sites, p.Site) {
			m.meet(p.ID, p.Addr, p.Site)
		}
	}
	for _, h := range m.due() {
		if ctx.Err() == nil && !m.servedLately(h.site) {
			m.visit(ctx, h)
		}
	}
}

// servedLately: one machine of a site is enough, its neighbours hear of it from that one.
func (m *mule) servedLately(site string) bool {
	return site != "" && m.n.cfg.Now().Sub(m.visited[site]).Abs() < m.n.cfg.Revisit
}

// dir is where the things for a site are. The name is a digest: no text from outside names a path.
func (m *mule) dir(site string) string {
	return filepath.Join(m.n.cfg.DataDir, carryFolder, content.Sum([]byte(site)).String())
}

// drop removes what is kept for sites that this machine does not serve any more.
func (m *mule) drop(sites []string) {
	root := filepath.Join(m.n.cfg.DataDir, carryFolder)
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, e := range entries {
		if slices.ContainsFunc(sites, func(s string) bool { return filepath.Base(m.dir(s)) == e.Name() }) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			m.n.log.Warn("what was carried for a site is not removed", "err", err)
		}
	}
}

// home hands in what has come back, to any seed, and packs anew at one that is near: what is carried must not
// cross the WAN for it.
func (m *mule) home(ctx context.Context, p transport.Peer, sites []string) {
	near := p.Site == m.n.member.Site || p.SameSubnet
	var work []string
	for _, s := range sites {
		if !m.n.cfg.Now().Before(m.nextPack[s]) && (m.hasReturns(s) || near && m.stale(s)) {
			work = append(work, s)
		}
	}
	if len(work) == 0 {
		return
	}
	c, _, hangUp, err := m.call(ctx, p.ID, p.Addr)
	if err != nil {
		m.later(work, err)
		return
	}
	defer hangUp()
	for _, s := range work {
		if err := m.homeFor(ctx, c, s, near); err != nil {
			m.later([]string{s}, err)
		}
	}
}

// later puts off what did not work.
func (m *mule) later(sites []string, err error) {
	wait := packRetry
	if k := api.ClassOf(err); k == api.ClassNotFound || k == api.ClassRefused || errors.Is(err, transport.ErrNotAdmitted) {
		wait = packRefused
	}
	for _, s := range sites {
		m.nextPack[s] = m.n.cfg.Now().Add(wait)
		m.n.log.Warn("nothing was packed for a site", "site", s, "err", err, "again_in", wait)
	}
}

func (m *mule) homeFor(ctx context.Context, c api.Carrier, site string, near bool) error {
	dir := m.dir(site)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if m.hasReturns(site) {
		in, err := ImportReturns(ctx, c, nil, dir)
		if err != nil {
			return err
		}
		if err := m.dropReturns(site); err != nil {
			return err
		}
		newer := 0
		for _, r := range in.Returns {
			newer += r.Newer
		}
		m.say(site, fmt.Sprintf("handed in at the seed: %d files from site %s with %d reports that are news", len(in.Returns), site, newer))
	}
	if !near {
		return nil
	}
	r := ExportRequest{Dir: dir, Site: site, Now: m.n.cfg.Now(), Lean: true}
	var err error
	if r.Have, err = c.LastHave(ctx, api.CargoQuery{Site: site}); err != nil && api.ClassOf(err) != api.ClassNotFound {
		return err
	}
	if u, err := m.n.store.Usage(); err == nil {
		r.SpareBytes = u.ReserveBytes
	}
	x, err := ExportBundle(ctx, c, r)
	if err != nil {
		return err
	}
	m.visited[site] = time.Time{} // there is news for it
	m.say(site, fmt.Sprintf("packed for site %s: epoch %d, %s written, %s kept, complete=%t", site, x.Epoch, api.Size(x.Written), api.Size(x.Kept), x.Complete))
	return nil
}

func (m *mule) say(site, text string) {
	m.n.log.Info(text, "site", site)
	m.n.record(state.EventRow{Kind: api.EventCarried, Detail: api.Clean(text)})
}

// index is what is packed for a site; nil: nothing.
func (m *mule) index(site string) *bundle.Index {
	x, err := indexOf(m.dir(site))
	if err != nil {
		return nil
	}
	return x
}

// stale: there may be more for a site than is packed.
func (m *mule) stale(site string) bool {
	x := m.index(site)
	return x == nil || !x.Complete || x.HeadNo < m.n.believer.current().HeadVersion() ||
		m.n.cfg.Now().Sub(x.MadeAt).Abs() > packAgainAfter
}

func (m *mule) returns(site string, each func(f *media.Folder, n media.Name) error) error {
	f, err := media.Open(m.dir(site), false)
	if err != nil {
		return err
	}
	defer f.Close()
	names, _, err := f.Returns()
	for _, n := range names {
		if err == nil {
			err = each(f, n)
		}
	}
	return err
}

func (m *mule) hasReturns(site string) (any bool) {
	_ = m.returns(site, func(*media.Folder, media.Name) error { any = true; return nil })
	return any
}

// dropReturns: the seed has them, on its disk.
func (m *mule) dropReturns(site string) error {
	return m.returns(site, func(f *media.Folder, n media.Name) error { return f.Remove(n) })
}

// due are the machines to visit now, of sites that were not served lately. Those that have gone are forgotten:
// the connector finds them again.
func (m *mule) due() (list []metMachine) {
	now := m.n.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, h := range m.met {
		switch {
		case h.fails > maxVisitFails:
			delete(m.met, id)
		case now.Before(h.nextAt) || m.servedLately(h.site):
		default:
			list = append(list, *h)
		}
	}
	slices.SortFunc(list, func(a, b metMachine) int { return a.nextAt.Compare(b.nextAt) })
	return list
}

// visit feeds a machine of a site with what is packed for it, and takes the way back.
func (m *mule) visit(ctx context.Context, h metMachine) {
	site, err := m.serve(ctx, h)
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.met[h.id]
	if k == nil {
		return
	}
	now := m.n.cfg.Now()
	if k.site = first(site, k.site); err == nil {
		k.fails, k.nextAt = 0, now
		return
	}
	if isForeign(err) || errors.Is(err, transport.ErrForbidden) {
		delete(m.met, h.id)
		return
	}
	wait := min(visitRetryFirst<<min(k.fails, 10), defaultRevisit)
	k.fails++
	k.nextAt = now.Add(wait)
	m.n.log.Info("a machine of another site was not served", "peer", h.id, "addr", h.addr, "site", k.site, "err", err, "again_in", wait)
}

func (m *mule) serve(ctx context.Context, h metMachine) (site string, err error) {
	c, p, hangUp, err := m.call(ctx, h.id, h.addr)
	if err != nil {
		return "", err
	}
	defer hangUp()
	if site = p.Site; m.servedLately(site) {
		return site, nil // now it is known whose it is
	}
	dir := m.dir(site)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return site, err
	}
	text := "nothing is packed for it"
	var trouble error
	if x := m.index(site); x != nil {
		var in *ImportedBundle
		if in, trouble = ImportBundle(ctx, c, dir, m.n.cfg.Now()); trouble == nil {
			text = fmt.Sprintf("approvals %s, %d chunks that were new to it, complete=%t", in.Approvals, in.Chunks, in.Complete)
		}
	}
	// Whatever became of the way there, the way back is of use.
	back, err := ExportReturn(ctx, c, dir)
	if err = errors.Join(trouble, err); err != nil {
		return site, err
	}
	m.visited[site] = m.n.cfg.Now()
	m.say(site, fmt.Sprintf("met %s of site %s: %s; reports of %d machines taken along", p.Name, site, text, back.Reports))
	return site, nil
}

// call visits a machine.
func (m *mule) call(ctx context.Context, id, addr string) (c api.Carrier, p transport.Peer, hangUp func(), err error) {
	var conn net.Conn
	if conn, p, err = m.n.host.Visit(ctx, id, addr, m.n.judgeVisited); err != nil {
		return nil, p, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return control.CarrierAt(conn), p, func() { stop(); _ = conn.Close() }, nil
}
