package sim

import (
	"errors"
	"fmt"
	"time"

	"patchmesh/content"
	"patchmesh/swarm"
)

// stick is removable media: documents and chunks as they were on the machine that wrote it. Whoever reads
// it trusts none of it.
type stick struct {
	head   *docs
	from   *machine
	papers []bool
	chunks []*content.Bits // by update; nil: nothing of it
	wrong  bool            // a liar has changed bytes and documents on the way
}

// planStick: somebody writes a stick on one machine and reads it on another, as 'bundle export' and 'bundle
// import' do. Words: path (sites, joined by "-", that it goes around; hq is the seed's; all if not said),
// takes (from one to the next), stale (how often it carries what it had a journey before), cut (how often
// it was pulled out too soon, so that a part is missing), liar (how often somebody has changed what is on it),
// and times without lasts.
func planStick(w *World, a args) error {
	takes, stale, cut, liar := value{low: float64(5 * time.Second), high: float64(30 * time.Second)}, exactly(0.2), exactly(0.2), exactly(0.1)
	path := a.text("path", "")
	t, err := a.times(time.Second)
	err = errors.Join(err, a.value("takes", &takes, parseTime), a.value("stale", &stale, parseShare), a.value("cut", &cut, parseShare), a.value("liar", &liar, parseShare))
	if err != nil {
		return err
	}
	stops, err := w.stickPath(path)
	if err != nil {
		return err
	}
	var last *stick
	w.eachTime(t, func() func() {
		w.openEnds++
		w.carry(stops, 0, &last, func() time.Duration { return takes.drawTime(w.rng) }, func(s *stick) {
			s.wrong = w.rng.Float64() < liar.draw(w.rng)
			if w.rng.Float64() < cut.draw(w.rng) {
				s.cutOff(w.rng.Float64())
			}
		}, w.rng.Float64() < stale.draw(w.rng))
		return nil
	})
	return nil
}

// stickPath reads the sites that a stick goes around.
func (w *World) stickPath(path string) ([]*site, error) {
	if path == "" {
		return w.sites, nil
	}
	var stops []*site
	for _, name := range splitPath(path) {
		var at *site
		for _, s := range w.sites {
			if s.name == name {
				at = s
			}
		}
		if at == nil {
			return nil, fmt.Errorf("path: site %.60q: %w", name, ErrScenario)
		}
		at.carried = true
		stops = append(stops, at)
	}
	if len(stops) < 2 {
		return nil, fmt.Errorf("path of %d sites: %w", len(stops), ErrScenario)
	}
	return stops, nil
}

func splitPath(path string) (names []string) {
	begin := 0
	for i := range len(path) {
		if path[i] == '-' {
			names = append(names, path[begin:i])
			begin = i + 1
		}
	}
	return append(names, path[begin:])
}

// carry brings the stick to the stop i of its path, reads it there, writes it anew and goes on.
func (w *World) carry(stops []*site, i int, last **stick, takes func() time.Duration, spoil func(*stick), stale bool) {
	if i >= len(stops) {
		w.openEnds--
		w.quiet()
		return
	}
	if m := stops[i].reader(); m != nil {
		if i > 0 && *last != nil {
			m.readStick(*last)
		}
		// What is read is there after the machine has verified it: the stick is written a moment later.
		w.after(stickPause, func() {
			if m.on() && (!stale || *last == nil) {
				s := m.writeStick()
				spoil(s)
				*last = s
			}
			w.after(takes(), func() { w.carry(stops, i+1, last, takes, spoil, stale) })
		})
		return
	}
	w.after(takes(), func() { w.carry(stops, i+1, last, takes, spoil, stale) })
}

// stickPause is how long a stick stays in a machine.
const stickPause = 2 * time.Second

// reader is the machine of a site that takes sticks: the first honest one that is on.
func (s *site) reader() *machine {
	for _, m := range s.machines {
		if m.on() && m.lies == 0 && !m.revoked {
			return m
		}
	}
	return nil
}

// writeStick puts all that a machine has on a stick.
func (m *machine) writeStick() *stick {
	s := &stick{head: m.disk.docs, from: m, papers: append([]bool(nil), m.disk.papers...)}
	for _, f := range m.disk.files {
		var bits *content.Bits
		if f != nil && f.have.Count() > 0 {
			bits = f.have.Clone()
			for _, i := range f.rot { // what does not verify is not written
				bits.Clear(i)
			}
		}
		s.chunks = append(s.chunks, bits)
	}
	m.site.w.own.say(m.site.w.now, "stick").str("m", string(m.id)).str("way", "out").num("head", s.head.version).yes("wrong", false).end()
	return s
}

// cutOff leaves a part of the chunks.
func (s *stick) cutOff(left float64) {
	for _, b := range s.chunks {
		if b == nil {
			continue
		}
		for i := int(left * float64(b.Len())); i < b.Len(); i++ {
			b.Clear(i)
		}
	}
}

// readStick is 'bundle import': documents are judged as if a peer had shown them, chunks are hashed before
// they are kept. A stick that lies brings nothing.
func (m *machine) readStick(s *stick) {
	w := m.site.w
	w.own.say(w.now, "stick").str("m", string(m.id)).str("way", "in").num("head", s.head.version).yes("wrong", s.wrong).end()
	if s.wrong {
		w.own.say(w.now, "refused").str("m", string(m.id)).str("from", "media").str("reason", "trust-bad-signature").end()
		return
	}
	if a := w.verify.checkHead(m.trust, s.head, m.now()); a.err == nil && a.newer {
		if x := w.verify.walk(m.trust, s.head.trust, s.head, w.org.roots, m.now()); x.err == nil {
			m.adopt(x.d)
			m.step(m.manifestEvent(0))
		}
	}
	for i, has := range s.papers {
		if has {
			m.hold(w.updates[i])
		}
	}
	m.soon(openTime, func() { m.takeChunks(s) })
}

// takeChunks keeps what the stick has of payloads that approvals bring here or that the site may ask for.
func (m *machine) takeChunks(s *stick) {
	for i, bits := range s.chunks {
		if bits == nil || m.disk.full {
			continue
		}
		u := m.site.w.updates[i]
		f := m.disk.open(u)
		if f.published {
			continue
		}
		fresh := int64(0)
		for k := range bits.Len() {
			if bits.Has(k) && f.put(m.site.now, k) {
				size := u.bytesOf(k)
				fresh += size
				m.from.Media += size
				m.site.say.say(m.site.now, "stored").str("m", string(m.id)).str("u", string(u.id)).num("i", int64(k)).
					str("from", "media").str("tier", "media").num("bytes", size).yes("fresh", true).yes("good", true).end()
			}
		}
		m.step(swarm.ChunksCarried{Payload: u.info.ID, Have: f.have.Clone(), Bytes: fresh})
	}
}
