package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"patchmesh/node/api"
	"patchmesh/node/control"
	"patchmesh/node/enrol"
	"patchmesh/node/transport"
	"patchmesh/swarm/wire"
)

// This file is the side that is visited: by a machine that carries things between sites (mule.go). What such a
// visitor may is what somebody with a stick may, and what it brings is verified in the same way: nothing is
// believed because a carrier says so. It gets no session: the core, gossip and the store of the site never
// hear of it as a peer.

// errNoCarrier: no signed policy makes that machine a carrier for this site.
var errNoCarrier = errors.New("policy does not make it a carrier for this site")

// carries are the sites for which a machine with that certificate is a carrier.
func (n *Node) carries(c enrol.Certificate) []string {
	if c.Seed {
		return nil
	}
	return n.believer.current().Manifest().Carries(c.Groups)
}

// carriedHere are the sites that this machine itself carries things to.
func (n *Node) carriedHere() []string {
	if n.seed != nil {
		return nil
	}
	return n.carries(n.renewal.says())
}

// mayVisit says whether the holder of a certificate is let in here: on a seed every carrier, elsewhere one
// that carries things to this site.
func (n *Node) mayVisit(c enrol.Certificate) bool {
	sites := n.carries(c)
	return n.seed != nil && len(sites) > 0 || n.seed == nil && slices.Contains(sites, n.member.Site)
}

// admitVisitor implements transport.Visiting.Admit.
func (n *Node) admitVisitor(peerID string, h wire.Hello) (transport.Peer, error) {
	if !n.awaitReady() {
		return transport.Peer{}, errors.New("stopping")
	}
	cert, err := n.checkCert(peerID, h.Cert)
	if err != nil {
		n.refuse(peerID, reasonOfCert(err), "visit: "+err.Error())
		return transport.Peer{}, err
	}
	if !n.mayVisit(cert) {
		return transport.Peer{}, errNoCarrier
	}
	return peerOf(peerID, cert), nil
}

func peerOf(id string, c enrol.Certificate) transport.Peer {
	return transport.Peer{ID: id, Site: c.Site, Name: c.Name, Groups: c.Groups}
}

// serveVisitor implements transport.Visiting.Serve.
func (n *Node) serveVisitor(p transport.Peer, c net.Conn) {
	sites := n.believer.current().Manifest().Carries(p.Groups)
	n.log.Info("a carrier visits", "peer", p.ID, "name", p.Name, "addr", p.Addr)
	v := &visited{Carrier: n, sites: sites, own: n.member.Site}
	if n.seed != nil {
		control.ServeCarrier(n.ctx, c, &visitedSeed{visited: v})
		return
	}
	control.ServeCarrier(n.ctx, c, v)
}

// visited is what a carrier may ask of a machine of a site: to take what it brings, and for the way back.
type visited struct {
	api.Carrier
	sites []string
	own   string
}

func errNotForCarrier(what string) error {
	return api.Errorf(api.ClassRefused, "a carrier may not %s here", what)
}

// Cargo tells what this machine has, and nothing of other sites.
func (v *visited) Cargo(ctx context.Context, q api.CargoQuery) (*api.Cargo, error) {
	if q != (api.CargoQuery{}) && q != (api.CargoQuery{Site: v.own}) {
		return nil, errNotForCarrier("ask for other sites or for groups")
	}
	return v.Carrier.Cargo(ctx, q)
}

// GiveDocs is for those who pack, at the seed.
func (v *visited) GiveDocs(context.Context, api.DocQuery) (*api.CargoDocs, error) {
	return nil, errNotForCarrier("take documents")
}

// GiveChunks is for those who pack, at the seed.
func (v *visited) GiveChunks(context.Context, api.ChunkQuery, io.Writer) error {
	return errNotForCarrier("take payloads")
}

// GiveAnswers is for those who pack, at the seed.
func (v *visited) GiveAnswers(context.Context, api.CargoQuery) ([]byte, error) {
	return nil, errNotForCarrier("take renewals")
}

// visitedSeed is what a carrier may ask of a seed: what to bring to its sites, and to take what comes back.
type visitedSeed struct{ *visited }

func (v *visitedSeed) check(q api.CargoQuery) error {
	if q.Group != "" || !slices.Contains(v.sites, q.Site) {
		return api.Errorf(api.ClassRefused, "policy does not make this machine a carrier for %s", api.Clean(first(q.Site, "all sites")))
	}
	return nil
}

// Cargo tells what machines of a site that the visitor serves shall have.
func (v *visitedSeed) Cargo(ctx context.Context, q api.CargoQuery) (*api.Cargo, error) {
	if err := v.check(q); err != nil {
		return nil, err
	}
	return v.Carrier.Cargo(ctx, q)
}

// GiveDocs gives documents, by hash.
func (v *visitedSeed) GiveDocs(ctx context.Context, q api.DocQuery) (*api.CargoDocs, error) {
	return v.Carrier.GiveDocs(ctx, q)
}

// GiveChunks gives stored chunks of a payload.
func (v *visitedSeed) GiveChunks(ctx context.Context, q api.ChunkQuery, w io.Writer) error {
	return v.Carrier.GiveChunks(ctx, q, w)
}

// GiveAnswers gives the sealed renewals of a site that the visitor serves.
func (v *visitedSeed) GiveAnswers(ctx context.Context, q api.CargoQuery) ([]byte, error) {
	if err := v.check(q); err != nil {
		return nil, err
	}
	return v.Carrier.GiveAnswers(ctx, q)
}

// LastHave gives what a site that the visitor serves has.
func (v *visitedSeed) LastHave(ctx context.Context, q api.CargoQuery) ([]byte, error) {
	if err := v.check(q); err != nil {
		return nil, err
	}
	return v.Carrier.LastHave(ctx, q)
}

// AdoptTrust is refused: a seed makes its approvals itself, and one that has lost them asks its machines.
func (v *visitedSeed) AdoptTrust(context.Context, api.TrustDocs) (*api.TrustAdopted, error) {
	return nil, errNotForCarrier("bring approvals")
}

// TakeDocs is refused.
func (v *visitedSeed) TakeDocs(context.Context, api.CargoDocs) (*api.TakenDocs, error) {
	return nil, errNotForCarrier("bring documents")
}

// TakeChunks is refused.
func (v *visitedSeed) TakeChunks(context.Context, io.Reader) (*api.TakenChunks, error) {
	return nil, errNotForCarrier("bring payloads")
}

// TakeAnswers is refused.
func (v *visitedSeed) TakeAnswers(context.Context, []byte) (*api.TakenAnswers, error) {
	return nil, errNotForCarrier("bring renewals")
}

// GiveReturn is refused: a seed sends nothing back.
func (v *visitedSeed) GiveReturn(context.Context) (*api.Return, error) {
	return nil, errNotForCarrier("ask for reports")
}

// judgeVisited looks at who answers a visit: a seed of the roster, or a machine of a site that this one serves.
// The certificate of such a machine may have ended as long ago as the staleness budget of its own site
// allows: what it gets is what a stick for that site brings to anybody, and every report that it gives is
// verified by the seed.
func (n *Node) judgeVisited(peerID string, h wire.Hello) (transport.Peer, error) {
	var cert enrol.Certificate
	own, err := enrol.Read(h.Cert)
	if err == nil {
		m := n.member
		m.Cert, m.Site = n.renewal.certificate(), own.Site
		cert, err = memberCert(n.believer, m, n.cfg.Now(), peerID, h.Cert)
	}
	if err != nil {
		n.refuse(peerID, reasonOfCert(err), "visit: "+err.Error())
		return transport.Peer{}, err
	}
	p := peerOf(peerID, cert)
	if p.Seed = n.isSeed(peerID); !p.Seed && !slices.Contains(n.carriedHere(), cert.Site) {
		return transport.Peer{}, fmt.Errorf("site %s: %w", api.Clean(cert.Site), errForeignSite)
	}
	return p, nil
}
