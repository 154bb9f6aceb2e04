package sim

import (
	"fmt"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// How long a machine's own hands take.
const (
	openTime   = time.Millisecond
	detectTime = 20 * time.Millisecond
	reportTime = 2 * time.Millisecond
)

// do starts the work for one action and returns. Like node's it never calls Step: every outcome comes
// as an entry of the queue.
func (m *machine) do(act swarm.Action) {
	switch a := act.(type) {
	case swarm.Link:
		m.link(a.Want)
	case swarm.LinkAdjacent: // no scenario names neighbour sites
	case swarm.Unlink:
		if p := m.site.w.byID[a.Peer]; p != nil {
			m.drop(p, true)
		}
	case swarm.Announce:
		m.announce()
	case swarm.AskManifest:
		m.askDocs(a)
	case swarm.AskDescriptor:
		m.askPaper(a)
	case swarm.Evict:
		if u := m.site.w.updateOf(a.Payload); m.disk.file(u) != nil {
			m.disk.files[u.index] = nil
		}
		m.soon(openTime, swarm.PayloadDropped{Payload: a.Payload})
	case swarm.OpenPayload:
		m.openPayload(a)
	case swarm.FetchChunk:
		m.fetch(a.Req, a.From, a.Payload, a.Index, false)
	case swarm.FetchOrigin:
		m.fetch(a.Req, a.From, a.Payload, a.Index, true)
	case swarm.CancelFetch:
		m.cancel(a.Req)
	case swarm.Serve:
		m.serve(a)
	case swarm.RefuseUpload:
		m.refuse(a)
	case swarm.Assemble:
		m.assemble(a)
	case swarm.Detect:
		m.detect(a)
	case swarm.CopyEarly: // the simulated disk copies in no time
	case swarm.Install:
		m.install(a)
	case swarm.Remove:
		m.remove(a)
	case swarm.Report:
		m.disk.owe(m.id, a.Seq)
		m.soon(reportTime, swarm.ReportQueued{Machine: m.id, Seq: a.Seq})
	case swarm.Forward:
		m.forward(a)
	case swarm.Save:
		m.disk.snap = a.Snapshot
	case swarm.Note:
		m.note(a)
	default:
		m.say(act)
	}
}

func (m *machine) link(want bool) {
	m.linkWant = want
	if want {
		m.tryLink()
	} else if m.session(m.site.w.hq) != nil && m.site.index != 0 {
		m.unlinkLater()
	}
}

func (m *machine) note(n swarm.Note) {
	say := &m.site.say
	switch {
	case n.Kind == swarm.NoteRefused:
		say.say(m.site.now, "refused").str("m", string(m.id)).str("from", word(string(n.Peer))).str("reason", word(string(n.Reason))).end()
	case n.Kind == swarm.NoteLease:
		kind := "release"
		if n.Text == "claimed" {
			kind = "claim"
		}
		if u := m.site.w.updateOf(n.Payload); u != nil {
			say.say(m.site.now, kind).str("m", string(m.id)).str("u", string(u.id)).end()
		}
	}
}

// store

func (m *machine) openPayload(a swarm.OpenPayload) {
	u := m.site.w.updateOf(a.Payload)
	f := m.disk.file(u)
	if m.disk.full && (f == nil || !f.have.Full()) {
		m.soon(openTime, swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: policy.ReasonDiskShort,
			Facts: map[string]int64{"needed_bytes": u.info.StoredBytes}})
		return
	}
	f = m.disk.open(u)
	m.soon(openTime, swarm.PayloadOpened{Req: a.Req, Payload: a.Payload, Have: f.have.Clone()})
}

func (m *machine) assemble(a swarm.Assemble) {
	u := m.site.w.updateOf(a.Payload)
	f := m.disk.file(u)
	took := openTime // the install that follows hashes its own copy, and nobody before it
	if !a.Installs {
		took = m.hashing(u)
	}
	m.soon(took, func() {
		switch {
		case f == nil || !f.have.Full():
			m.step(swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: policy.ReasonDiskError, Detail: "incomplete"})
		case f.check():
			m.step(swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: policy.ReasonTrustBadChunk})
		default:
			f.published, f.recent = true, nil
			m.site.say.say(m.site.now, "whole").str("m", string(m.id)).str("u", string(u.id)).end()
			m.step(swarm.Assembled{Req: a.Req})
		}
	})
}

// apply

func (m *machine) detect(a swarm.Detect) {
	u := m.site.w.byDesc[a.Descriptor]
	rev := m.disk.installed[u.id]
	version := ""
	if rev != 0 {
		version = fmt.Sprint(rev)
	}
	m.soon(detectTime, swarm.Detected{Req: a.Req, Present: rev == u.rev, Version: version})
}

// install does what the apply role does: it looks at the bytes once more on its own copy. What the
// core has asked for is written down first, for the checker to judge.
func (m *machine) install(a swarm.Install) {
	u := m.site.w.byDesc[a.Descriptor]
	f := m.disk.file(u)
	bad := 0
	if f != nil {
		bad = len(f.rot)
	}
	m.site.say.say(m.site.now, "install").str("m", string(m.id)).str("u", string(u.id)).num("rev", int64(u.rev)).
		yes("whole", f != nil && f.published).num("bad", int64(bad)).num("clock", int64(m.now().Sub(epoch0))).end()
	m.site.begun = append(m.site.begun, m.site.now)
	m.soon(m.hashing(u)+u.installTime, func() {
		if f == nil || !f.published || f.check() {
			m.site.say.say(m.site.now, "failed").str("m", string(m.id)).str("u", string(u.id)).end()
			m.step(swarm.Failed{Req: a.Req, Class: swarm.Retry, Reason: policy.ReasonTrustBadChunk})
			return
		}
		m.setInstalled(u, u.rev)
		m.step(swarm.Installed{Req: a.Req, Version: fmt.Sprint(u.rev)})
	})
}

func (m *machine) remove(a swarm.Remove) {
	u := m.site.w.byDesc[a.Descriptor]
	m.site.say.say(m.site.now, "remove").str("m", string(m.id)).str("u", string(u.id)).num("clock", int64(m.now().Sub(epoch0))).end()
	m.soon(u.installTime, func() {
		m.setInstalled(u, 0)
		m.step(swarm.Installed{Req: a.Req})
	})
}

// setInstalled changes the machine for good.
func (m *machine) setInstalled(u *update, rev int) {
	if m.disk.installed == nil {
		m.disk.installed = map[policy.UpdateID]int{}
	}
	now := m.site.now
	if rev == 0 {
		delete(m.disk.installed, u.id)
		m.site.say.say(now, "removed").str("m", string(m.id)).str("u", string(u.id)).end()
	} else {
		m.disk.installed[u.id] = rev
		m.site.say.say(now, "installed").str("m", string(m.id)).str("u", string(u.id)).num("rev", int64(rev)).end()
		if m.firstAt == 0 {
			m.firstAt = now
		}
		m.lastAt = now
	}
	m.wants = -1
}

// chunks

type (
	// chunkAsk, chunk, refusal and withdrawal are what peers say about one chunk.
	chunkAsk struct {
		req   swarm.Req
		u     *update
		index int
	}
	chunk struct {
		req   swarm.Req
		u     *update
		index int
		good  bool
	}
	refusal struct {
		req    swarm.Req
		class  swarm.Class
		reason policy.Reason
	}
	withdrawal struct{ req swarm.Req }
)

func (c chunk) entry() entry {
	return entry{kind: chunkHere, req: c.req, u: c.u, index: int32(c.index), good: c.good}
}

func (m *machine) fetch(req swarm.Req, from swarm.PeerID, payload content.ID, index int, origin bool) {
	u := m.site.w.updateOf(payload)
	ses := m.sessionTo(from)
	if ses == nil || m.disk.file(u) == nil {
		m.soon(0, swarm.Failed{Req: req, Class: swarm.Retry, Reason: policy.ReasonNetTimeout})
		return
	}
	if ses.asks == 0 {
		ses.chunkAt = m.site.now
	}
	ses.asks++
	m.asks = append(m.asks, ask{req: req, peer: ses.peer, u: u, index: index, origin: origin})
	m.weigh()
	m.send(ses, entry{kind: chunkAsked, req: req, u: u, index: int32(index)}, 0)
	m.watch(ses)
}

// takeAsk ends an ask; false if it has ended already.
func (m *machine) takeAsk(req swarm.Req) (ask, bool) {
	i := slices.IndexFunc(m.asks, func(a ask) bool { return a.req == req })
	if i < 0 {
		return ask{}, false
	}
	a := m.asks[i]
	m.asks[i] = m.asks[len(m.asks)-1]
	m.asks = m.asks[:len(m.asks)-1]
	if ses := m.session(a.peer); ses != nil && ses.asks > 0 {
		ses.asks--
	}
	return a, true
}

// cancel withdraws an ask, as transport does: the peer confirms it, or the chunk is on its way already and comes.
func (m *machine) cancel(req swarm.Req) {
	i := slices.IndexFunc(m.asks, func(a ask) bool { return a.req == req })
	if i < 0 || m.asks[i].withdrawn {
		return
	}
	m.asks[i].withdrawn = true
	if ses := m.session(m.asks[i].peer); ses != nil {
		m.letter(ses, withdrawal{req}, 0)
	}
}

// asked: a peer wants a chunk. A liar answers by itself.
func (m *machine) asked(from *machine, x chunkAsk) {
	ses := m.session(from)
	switch {
	case m.lies&lieSilent != 0:
		return
	case m.lies&(lieBits|lieRefuses) != 0:
		m.letter(ses, refusal{req: x.req, class: swarm.Absent}, 0)
		return
	}
	m.lastRef++
	m.refs = append(m.refs, upload{ref: m.lastRef, to: from, gen: ses.gen, req: x.req, u: x.u, index: x.index})
	m.weigh()
	if m.lies&lieChunks != 0 {
		m.serve(swarm.Serve{Ref: m.lastRef})
		return
	}
	m.step(swarm.UploadAsked{From: from.id, Ref: m.lastRef, Payload: x.u.info.ID, Index: x.index})
}

func (m *machine) refIndex(ref uint64) int {
	return slices.IndexFunc(m.refs, func(r upload) bool { return r.ref == ref })
}

func (m *machine) endRef(ref uint64) (upload, bool) {
	i := m.refIndex(ref)
	if i < 0 {
		return upload{}, false
	}
	r := m.refs[i]
	m.refs[i] = m.refs[len(m.refs)-1]
	m.refs = m.refs[:len(m.refs)-1]
	return r, true
}

func (m *machine) refuse(a swarm.RefuseUpload) {
	r, open := m.endRef(a.Ref)
	if !open {
		return
	}
	if ses := m.session(r.to); ses != nil && ses.gen == r.gen {
		m.letter(ses, refusal{req: r.req, class: a.Class}, 0)
	}
}

// withdrawn: a peer does not want a chunk any more that it has asked for. What is being sent is the answer.
func (m *machine) withdrawn(from *machine, x withdrawal) {
	i := slices.IndexFunc(m.refs, func(r upload) bool { return r.to == from && r.req == x.req })
	if i < 0 || m.refs[i].sending {
		return
	}
	r, _ := m.endRef(m.refs[i].ref)
	if ses := m.session(from); ses != nil && ses.gen == r.gen {
		m.letter(ses, refusal{req: r.req, class: swarm.Retry, reason: policy.ReasonCancelledUser}, 0)
	}
	m.step(swarm.UploadEnded{Ref: r.ref})
}

// serve moves a chunk over the lines between two machines.
func (m *machine) serve(a swarm.Serve) {
	i := m.refIndex(a.Ref)
	if i < 0 {
		m.soon(0, swarm.UploadEnded{Ref: a.Ref})
		return
	}
	r := &m.refs[i]
	r.sending = true
	ses, s := m.session(r.to), m.site
	f := m.disk.file(r.u)
	honest := m.lies&lieChunks == 0
	if ses == nil || ses.gen != r.gen || (honest && (f == nil || !f.have.Has(r.index))) {
		m.endRef(a.Ref)
		m.soon(0, swarm.UploadEnded{Ref: a.Ref})
		return
	}
	c := chunk{r.req, r.u, r.index, honest && !f.rotten(r.index)}
	size := r.u.bytesOf(r.index)
	if ses.site != s {
		ses.line = append(ses.line, arrival{from: m, gen: r.gen, ref: a.Ref, chunk: c})
		m.sendFar(ses)
		return
	}
	end := between(&m.up, &r.to.down, s.now, size)
	if o := r.to.session(m); o != nil {
		o.chunkAt = end
	}
	s.push(entry{at: end, m: m, inc: m.inc, kind: sentOff, req: swarm.Req(a.Ref), u: r.u, index: int32(r.index)})
	m.bulk(ses, c.entry(), end)
}

// sent: an upload has left.
func (m *machine) sent(ref uint64, size int64) {
	if _, open := m.endRef(ref); open && m.lies&lieChunks == 0 {
		m.step(swarm.UploadEnded{Ref: ref, Bytes: size})
	}
}

func (m *machine) refused(x refusal) {
	if a, open := m.takeAsk(x.req); open {
		if ses := m.session(a.peer); ses != nil {
			ses.chunkAt = m.site.now
		}
		m.step(swarm.Failed{Req: x.req, Class: x.class, Reason: x.reason})
	}
}

// chunkArrived verifies and stores a chunk.
func (m *machine) chunkArrived(from *machine, x chunk) {
	a, open := m.takeAsk(x.req)
	size := x.u.bytesOf(x.index)
	if !open {
		m.from.Wasted += size
		return
	}
	if ses := m.session(from); ses != nil {
		ses.chunkAt = max(ses.chunkAt, m.site.now)
	}
	f := m.disk.file(x.u)
	switch {
	case !x.good:
		m.from.Wasted += size
		m.step(swarm.Failed{Req: x.req, Class: swarm.Refuse, Reason: policy.ReasonTrustBadChunk})
		return
	case m.disk.full || f == nil:
		m.from.Wasted += size
		m.step(swarm.Failed{Req: x.req, Class: swarm.Retry, Reason: policy.ReasonDiskShort})
		return
	}
	fresh := f.put(m.site.now, x.index)
	tier := "lan"
	switch {
	case !fresh:
		m.from.Duplicate += size
	case a.origin:
		m.from.WAN += size
	default:
		m.from.LAN += size
	}
	if a.origin {
		tier = "wan"
	}
	m.site.delivered++
	m.site.say.say(m.site.now, "stored").str("m", string(m.id)).str("u", string(x.u.id)).num("i", int64(x.index)).
		str("from", string(from.id)).str("tier", tier).num("bytes", size).yes("fresh", fresh).yes("good", x.good).end()
	m.step(swarm.ChunkStored{Req: x.req, Bytes: size, Fresh: fresh})
}

// reports

type reportSent struct {
	machine swarm.PeerID
	seq     uint64
}

type reportAck struct {
	machine swarm.PeerID
	seq     uint64
}

func (m *machine) forward(a swarm.Forward) {
	if ses := m.sessionTo(a.To); ses != nil {
		m.letter(ses, reportSent{machine: a.Machine, seq: a.Seq}, 0)
	}
}

// reportArrived: a report is taken over, and acknowledged once it is durable.
func (m *machine) reportArrived(from *machine, x reportSent) {
	ses := m.session(from)
	if m.seed {
		if m.reports == nil {
			m.reports = map[swarm.PeerID]uint64{}
		}
		m.reports[x.machine] = max(m.reports[x.machine], x.seq)
	} else {
		m.disk.owe(x.machine, x.seq)
		m.step(swarm.ReportQueued{Machine: x.machine, Seq: x.seq})
	}
	m.letter(ses, reportAck(x), 0)
}

func (m *machine) reportAcked(x reportAck) {
	m.disk.acked(x.machine, x.seq)
	m.step(swarm.ReportAcked{Machine: x.machine, Seq: x.seq})
}
