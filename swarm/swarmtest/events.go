package swarmtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// doPeer opens sessions: the peer's have-lists follow, then Synced.
func doPeer(s *story, l *line) error {
	site := swarm.SiteID(l.option("site"))
	if site == "" {
		site = s.self.Site
	}
	head, _ := strconv.ParseInt(l.option("head"), 10, 64)
	root, err := s.judgedBy(l)
	if err != nil {
		return err
	}
	up := swarm.PeerUp{Site: site, Seed: l.take("seed"), Egress: l.take("egress"), SameSubnet: l.take("subnet"), HeadVersion: head, Root: root, Gives: l.take("gives"), Takes: l.take("takes"), Older: l.take("older"), Linkless: l.take("linkless")}
	if g := l.option("groups"); g != "" {
		up.Groups = strings.Split(g, ",")
	}
	role := swarm.RoleHeard{Cache: l.take("cache"), WiFi: l.take("wifi")}
	want, unsynced := l.take("want"), l.take("unsynced")
	names, lists := l.words, l.options
	l.words, l.options = nil, nil
	if want && len(lists) == 0 {
		lists = []option{{"have", draw(content.NewBits(s.update("u1").info.Chunks))}}
	}
	for _, name := range names {
		up.Peer = swarm.PeerID(name)
		evs := []swarm.Event{up}
		if role.Cache || role.WiFi {
			role.Peer = up.Peer
			evs = append(evs, role)
		}
		for _, o := range lists {
			of := strings.Replace(o.name, "have", "u1", 1)
			evs = append(evs, swarm.HaveArrived{From: up.Peer, Payload: s.update(of).info.ID, Want: want, Bits: bits(o.value)})
		}
		if !unsynced {
			evs = append(evs, swarm.PeerSynced{Peer: up.Peer})
		}
		for _, ev := range evs {
			if err := s.step(ev); err != nil {
				return err
			}
		}
	}
	return nil
}

// doDown ends a session; requests that were open there are over.
func doDown(s *story, l *line) error {
	peer := swarm.PeerID(l.next())
	s.open = slices.DeleteFunc(s.open, func(r request) bool { return r.from == peer })
	return s.step(swarm.PeerDown{Peer: peer})
}

func doSynced(s *story, l *line) error {
	return s.step(swarm.PeerSynced{Peer: swarm.PeerID(l.next())})
}

func doChanged(s *story, l *line) error {
	return s.step(swarm.PeerChanged{Peer: swarm.PeerID(l.next()), Egress: l.next() == "egress"})
}

func doEgress(s *story, l *line) error { return s.step(swarm.EgressChanged{Egress: l.next() == "on"}) }

func doLink(s *story, l *line) error {
	if l.next() != "failed" {
		return fmt.Errorf("a link can only be failed")
	}
	return s.step(swarm.LinkFailed{})
}

func doHeard(s *story, l *line) error {
	v, err := strconv.ParseInt(l.option("version"), 10, 64)
	if err != nil {
		return err
	}
	root, err := s.judgedBy(l)
	if err != nil {
		return err
	}
	return s.step(swarm.Heard{From: swarm.PeerID(l.next()), Version: v, Root: root})
}

// judgedBy is the version of the root that a head was judged by: that of the last manifest unless said.
func (s *story) judgedBy(l *line) (int64, error) {
	if v := l.option("root"); v != "" {
		return strconv.ParseInt(v, 10, 64)
	}
	return s.root, nil
}

// doManifest makes the newest manifest, and tells the core unless it is only being published elsewhere.
func doManifest(s *story, l *line) error {
	s.version++
	if v := l.option("version"); v != "" {
		var err error
		if s.version, err = strconv.ParseInt(v, 10, 64); err != nil {
			return err
		}
	}
	var err error
	if s.root, err = s.judgedBy(l); err != nil {
		return err
	}
	life := 240 * time.Hour
	if v := l.option("expires"); v != "" {
		var err error
		if life, err = time.ParseDuration(v); err != nil {
			return err
		}
	}
	s.expires = s.now.Add(life)
	m := &policy.Manifest{Org: "o", Epoch: uint64(s.version)}
	if at, minutes, ok := strings.Cut(l.option("window"), "/"); ok { // every day, for every machine
		n, err := strconv.Atoi(minutes)
		if err != nil {
			return err
		}
		m.Windows = []policy.Window{{ID: "w", Group: policy.GroupAll, Rule: "FREQ=DAILY", From: "2026-01-01", At: at, Zone: "UTC", Minutes: n}}
	}
	elsewhere := l.take("elsewhere")
	m.Settings = settingsOf(l)
	for _, o := range l.options {
		s.approve(m, o.name, o.value)
	}
	l.options = nil
	if l.take("anew") { // approved at this moment; the others were at the beginning of time
		for i := range m.Approvals {
			m.Approvals[i].At = s.now
		}
	}
	slices.SortFunc(m.Approvals, func(a, b policy.Approval) int { return strings.Compare(string(a.Update), string(b.Update)) })
	s.manifest = m
	if elsewhere {
		return nil
	}
	return s.step(swarm.ManifestArrived{Version: s.version, Root: s.root, Manifest: m, ExpiresAt: s.expires})
}

// settingsOf reads client settings of every machine: settings=NAME:VALUE;NAME:VALUE.
func settingsOf(l *line) []policy.Setting {
	var out []policy.Setting
	for _, x := range strings.FieldsFunc(l.option("settings"), func(r rune) bool { return r == ';' }) {
		name, value, _ := strings.Cut(x, ":")
		out = append(out, policy.Setting{Name: name, Group: policy.GroupAll, Value: value})
	}
	return out
}

// doFlap opens the sessions of some peers anew, one after the other and again and again; they never say
// what they have.
func doFlap(s *story, l *line) error {
	times, err := strconv.Atoi(l.option("times"))
	if err != nil {
		return err
	}
	every, err := time.ParseDuration(l.option("every"))
	if err != nil {
		return err
	}
	names := l.words
	l.words = nil
	for i := range times {
		if err := s.step(swarm.PeerUp{Peer: swarm.PeerID(names[i%len(names)]), Site: s.self.Site}); err != nil {
			return err
		}
		if err := s.pass(every, func() bool { return false }); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) of(l *line) *update {
	if len(l.words) == 0 {
		return s.update("u1")
	}
	return s.update(l.next())
}

func doHave(s *story, l *line) error {
	want := l.take("want")
	peer, list := l.next(), l.next()
	return s.step(swarm.HaveArrived{From: swarm.PeerID(peer), Payload: s.of(l).info.ID, Want: want, Bits: bits(list)})
}

func doGained(s *story, l *line) error {
	peer := l.next()
	var indexes []int
	for len(l.words) > 0 {
		i, err := strconv.Atoi(l.next())
		if err != nil {
			return err
		}
		indexes = append(indexes, i)
	}
	of := "u1"
	if v := l.option("of"); v != "" {
		of = v
	}
	return s.step(swarm.GainedArrived{From: swarm.PeerID(peer), Payload: s.update(of).info.ID, Indexes: indexes})
}

func doLost(s *story, l *line) error {
	peer := l.next()
	return s.step(swarm.LostArrived{From: swarm.PeerID(peer), Payload: s.of(l).info.ID})
}

func doLease(s *story, l *line) error {
	peer, held := l.next(), l.next() == "claimed"
	return s.step(swarm.LeaseHeard{From: swarm.PeerID(peer), Payload: s.of(l).info.ID, Held: held})
}

// anyChunk stands for u1/*: whichever was asked for first.
const anyChunk = -1

// chunk reads u1/2.
func (s *story) chunk(text string) (*update, int, error) {
	name, number, _ := strings.Cut(text, "/")
	if number == "*" {
		return s.update(name), anyChunk, nil
	}
	i, err := strconv.Atoi(number)
	return s.update(name), i, err
}

// doRevise makes a new revision of an update: other bytes to detect, the same payload.
func doRevise(s *story, l *line) error {
	old := s.update(l.next())
	u := *old
	d := *old.descriptor
	d.Revision++
	u.descriptor, u.id = &d, content.Sum(fmt.Appendf(nil, "descriptor %s revision %d", u.name, d.Revision))
	s.updates = append([]*update{&u}, s.updates...) // names find the newest; IDs find both
	return nil
}

// find takes an open request off the list: the oldest that fits.
func (s *story) find(kind string, of *update, index int, from string) (request, error) {
	for _, r := range s.open {
		if r.kind == kind && (of == nil || r.of == of) && (kind != "chunk" || index == anyChunk || r.index == index) && (from == "" || r.from == swarm.PeerID(from)) {
			s.closed(r)
			return r, nil
		}
	}
	return request{}, fmt.Errorf("no such request is open")
}

func doStored(s *story, l *line) error {
	from := l.option("from")
	for len(l.words) > 0 {
		of, i, err := s.chunk(l.next())
		if err != nil {
			return err
		}
		r, err := s.find("chunk", of, i, from)
		if err != nil {
			return err
		}
		fresh := of.onDisk.Set(r.index)
		if err := s.step(swarm.ChunkStored{Req: r.req, Bytes: int64(of.info.ChunkBytes), Fresh: fresh}); err != nil {
			return err
		}
	}
	return nil
}

// named finds the request that "done" and "failed" speak of.
func (s *story) named(l *line) (request, error) {
	what, from := l.next(), l.option("from")
	if strings.Contains(what, "/") {
		of, i, err := s.chunk(what)
		if err != nil {
			return request{}, err
		}
		return s.find("chunk", of, i, from)
	}
	var of *update
	if len(l.words) > 0 && slices.ContainsFunc(s.updates, func(u *update) bool { return u.name == l.words[0] }) {
		of = s.update(l.next())
	}
	return s.find(what, of, 0, from)
}

func doDone(s *story, l *line) error {
	present, absent := l.take("present"), l.take("absent")
	if l.take("newest") {
		slices.Reverse(s.open)
		defer slices.Reverse(s.open)
	}
	r, err := s.named(l)
	if err != nil {
		return err
	}
	if present || absent {
		r.of.present = present
	}
	return s.step(s.result(r))
}

func doFailed(s *story, l *line) error {
	r, err := s.named(l)
	if err != nil {
		return err
	}
	class, known := map[string]swarm.Class{"retry": swarm.Retry, "refuse": swarm.Refuse, "busy": swarm.Busy, "absent": swarm.Absent}[l.next()]
	if !known {
		return fmt.Errorf("a failure is retry, refuse, busy or absent")
	}
	return s.step(swarm.Failed{Req: r.req, Class: class, Reason: policy.Reason(l.next())})
}

func doAsks(s *story, l *line) error {
	times := 1
	if v := l.option("times"); v != "" {
		var err error
		if times, err = strconv.Atoi(v); err != nil {
			return err
		}
	}
	from := swarm.PeerID(l.next())
	of, i, err := s.chunk(l.next())
	if err != nil {
		return err
	}
	for range times {
		s.refs = append(s.refs, ask{from: from, of: of, index: i})
		if err := s.step(swarm.UploadAsked{From: from, Ref: uint64(len(s.refs)), Payload: of.info.ID, Index: i}); err != nil {
			return err
		}
	}
	return nil
}

func doSent(s *story, l *line) error {
	from := swarm.PeerID(l.next())
	of, i, err := s.chunk(l.next())
	if err != nil {
		return err
	}
	for n := range s.refs {
		if a := &s.refs[n]; a.from == from && a.of == of && a.index == i && !a.ended {
			a.ended = true
			return s.step(swarm.UploadEnded{Ref: uint64(n + 1), Bytes: int64(of.info.ChunkBytes)})
		}
	}
	return fmt.Errorf("nobody asked for it")
}

// doQueued says that a report of a machine is in the outbox; its number is the time since the story began.
func doQueued(s *story, l *line) error {
	m := swarm.PeerID(l.next())
	if v := l.option("seq"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return err
		}
		s.seqs[m] = uint64(begin.Add(d).UnixMilli())
	}
	return s.step(swarm.ReportQueued{Machine: m, Seq: s.seqs[m]})
}

// doAcked says that the next hop took over the last report of a machine.
func doAcked(s *story, l *line) error {
	m := swarm.PeerID(l.next())
	return s.step(swarm.ReportAcked{Machine: m, Seq: s.seqs[m]})
}

// doDropped: people took a payload from the store.
func doDropped(s *story, l *line) error {
	u := s.of(l)
	u.onDisk, u.published = content.NewBits(u.info.Chunks), false
	return s.step(swarm.PayloadDropped{Payload: u.info.ID})
}
