package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/origin"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

// OriginAuto, OriginFirst and OriginNever are the values of Config.Origin.
const (
	OriginAuto  = "auto"
	OriginFirst = "first"
	OriginNever = "never"
)

// hostOf names a web host in the books; the URL was checked when its descriptor was read.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "web"
	}
	return u.Host
}

func checkOrigin(s string) error {
	switch s {
	case "", OriginAuto, OriginFirst, OriginNever:
		return nil
	}
	return fmt.Errorf("origin is %q, must be auto, first or never", s)
}

// checkOrigins refuses URLs that no machine would fetch from.
func checkOrigins(urls []string) error {
	for _, u := range urls {
		if _, err := origin.ParseFile(u); err != nil {
			return api.Errorf(api.ClassUsage, "--origin: %v", err).WithHint("give the http or https URL of the file itself")
		}
	}
	return nil
}

// web fetches chunks from the vendor's web hosts. It knows URLs from verified descriptors alone.
type web struct {
	n      *Node
	ranged *origin.Ranged
	slots  chan struct{} // requests at a time

	mu    sync.Mutex
	files map[content.ID]webFile
}

// webFile is where a payload lies outside.
type webFile struct {
	urls, hosts []string
	sizeBytes   int64
}

// Bounds of what a node does at web hosts.
const (
	maxWebRequests = 8
	maxWebFiles    = 4096
)

func newWeb(n *Node) *web {
	return &web{
		n: n, ranged: origin.NewRanged(origin.Config{}, n.limits.pace[rate.WAN][rate.Down]),
		slots: make(chan struct{}, maxWebRequests), files: map[content.ID]webFile{},
	}
}

// learn remembers where a payload lies outside, and says at how many places. Only what an approval names by
// its hash comes here. Of two updates with one payload the first counts.
func (w *web) learn(d *policy.Descriptor) int {
	if w == nil || w.n.cfg.Origin == OriginNever { // nil: offline; what policy says is asked at each fetch, see fetch
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if f, known := w.files[d.Payload]; known {
		return len(f.urls)
	}
	if len(d.Origins) == 0 || len(w.files) >= maxWebFiles {
		return 0
	}
	w.files[d.Payload] = webFile{urls: slices.Clone(d.Origins), hosts: d.OriginHosts, sizeBytes: d.PlainBytes}
	return len(d.Origins)
}

func (w *web) file(id content.ID) webFile {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files[id]
}

// fetchOrigin asks a seed, or a web host.
func (n *Node) fetchOrigin(ctx context.Context, a swarm.FetchOrigin) {
	if a.From != "" {
		n.fetchChunk(swarm.FetchChunk{Req: a.Req, From: a.From, Payload: a.Payload, Index: a.Index, Ahead: a.Ahead})
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	n.rememberFetch(a.Req, cancel)
	n.work(func() {
		defer cancel()
		ev := n.web.fetch(ctx, a)
		n.forgetFetch(a.Req)
		n.events.send(ev)
	})
}

// fetch brings one chunk from a web host into the store.
func (w *web) fetch(ctx context.Context, a swarm.FetchOrigin) swarm.Event {
	m, err := w.n.docs.payloadMap(a.Payload)
	f := w.file(a.Payload)
	if err != nil || a.Index >= m.Len() || a.Mirror >= len(f.urls) || f.sizeBytes != m.PlainBytes {
		return swarm.Failed{Req: a.Req, Class: swarm.Absent, Reason: policy.ReasonPeerNoneHolds}
	}
	if host := hostOf(f.urls[a.Mirror]); !w.n.webPolicy().Allows(host) {
		return swarm.Failed{Req: a.Req, Class: swarm.Absent, Reason: policy.ReasonNetRefused, Detail: "policy lets nobody here fetch from " + api.Clean(host)}
	}
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return webFailure(a.Req, ctx.Err())
	}
	plain := make([]byte, m.Chunks[a.Index].PlainBytes)
	p := origin.Part{URL: f.urls[a.Mirror], Hosts: w.n.webPolicy().Redirects(f.hosts), SizeBytes: f.sizeBytes, From: m.PlainOffset(a.Index)}
	if err := w.ranged.Fetch(ctx, p, plain); err != nil {
		return webFailure(a.Req, err)
	}
	stored, err := m.Restore(a.Index, plain)
	if err != nil {
		return w.refused(m, len(plain), webFailure(a.Req, err))
	}
	fresh, err := w.n.store.Put(a.Payload, a.Index, stored)
	if err != nil {
		return w.refused(m, len(stored), failure(a.Req, err))
	}
	w.n.chunkBooked(m, a.Index, contact{Peer: transport.Peer{ID: hostOf(f.urls[a.Mirror])}, tier: api.TierOrigin}, len(stored), fresh)
	return swarm.ChunkStored{Req: a.Req, Bytes: int64(len(stored)), Fresh: fresh}
}

// refused books bytes that came and were thrown away.
func (w *web) refused(m *content.PayloadMap, bytes int, ev swarm.Event) swarm.Event {
	if f, failed := ev.(swarm.Failed); failed {
		w.n.chunkRefused(m, bytes, f)
	}
	return ev
}

// webFailure translates for the core: wrong bytes are the host's fault, another file there is as good as
// none, and all else may heal.
func webFailure(req swarm.Req, err error) swarm.Failed {
	f := swarm.Failed{Req: req, Class: swarm.Retry, Reason: policy.ReasonNetTimeout, Detail: api.Clean(err.Error())}
	var corrupt *content.CorruptError
	switch {
	case errors.As(err, &corrupt):
		f.Class, f.Reason = swarm.Refuse, policy.ReasonTrustBadChunk
	case errors.Is(err, context.Canceled):
		f.Reason = policy.ReasonCancelledUser
	case errors.Is(err, origin.ErrProxyAuth):
		f.Reason = policy.ReasonNetProxyAuth
	case errors.Is(err, origin.ErrNotFound), errors.Is(err, origin.ErrChanged), errors.Is(err, origin.ErrNoRanges), errors.Is(err, content.ErrEncoder):
		f.Class, f.Reason = swarm.Absent, policy.ReasonPeerNoneHolds
	case errors.Is(err, origin.ErrRefused), errors.Is(err, origin.ErrURL), errors.Is(err, origin.ErrTooLarge):
		f.Class, f.Reason = swarm.Absent, policy.ReasonNetRefused
	}
	return f
}

// info tells people which hosts gave what.
func (w *web) info() []api.Mirror {
	var out []api.Mirror
	for host, c := range w.ranged.Counts() {
		m := api.Mirror{Host: host, Bytes: c.Bytes, Failed: c.Failed}
		if c.Last != nil {
			m.Last = api.Clean(c.Last.Error())
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b api.Mirror) int { return strings.Compare(a.Host, b.Host) })
	return out
}
