package sim

import (
	"errors"
	"time"
)

// planPartition: a site falls into parts that do not reach each other. Words: parts, and times.
func planPartition(w *World, a args) error {
	parts := value{low: 2, high: 3}
	t, err := a.times(15 * time.Second)
	if err = errors.Join(err, a.value("parts", &parts, parseNumber)); err != nil {
		return err
	}
	w.eachTime(t, func() func() {
		s := w.branch()
		n := max(parts.drawInt(w.rng), 1)
		for _, m := range s.machines {
			m.part = w.rng.IntN(n)
		}
		w.sayFault("partition", s.name)
		s.countMembers()
		for _, m := range s.machines {
			for _, ses := range m.sessions {
				if ses.peer.site == s && apart(m, ses.peer) {
					m.silence(ses)
				}
			}
		}
		return func() {
			for _, m := range s.machines {
				m.part = 0
			}
			s.countMembers()
			w.reunite(s)
		}
	})
	return nil
}

// planWANDown: a site's line to the world is cut. Words: site, and times.
func planWANDown(w *World, a args) error {
	name := a.text("site", "")
	t, err := a.times(20 * time.Second)
	w.eachTime(t, func() func() {
		s := w.branch()
		for _, o := range w.sites[1:] {
			if o.name == name {
				s = o
			}
		}
		if s.cut {
			return nil
		}
		s.cut = true
		w.sayFault("wan-down", s.name)
		for _, m := range s.machines {
			if ses := m.session(w.hq); ses != nil {
				m.silence(ses)
				if back := w.hq.session(m); back != nil {
					w.hq.silence(back)
				}
			}
		}
		return func() {
			s.cut = false
			w.reunite(s)
		}
	})
	return err
}

// planSlow: some machines' lines carry only a part of their rate. Words: share, by (how much is left),
// and times.
func planSlow(w *World, a args) error {
	share, left := exactly(0.2), value{low: 0.01, high: 0.3, log: true}
	t, err := a.times(20 * time.Second)
	if err = errors.Join(err, a.value("share", &share, parseShare), a.value("by", &left, parseShare)); err != nil {
		return err
	}
	w.eachTime(t, func() func() {
		victims := w.pick(w.some(share.draw(w.rng)), isOn)
		for _, m := range victims {
			m.up.rate = m.rate * left.draw(w.rng)
			m.down.rate = m.up.rate
		}
		return func() {
			for _, m := range victims {
				m.up.rate, m.down.rate = m.rate, m.rate
			}
		}
	})
	return nil
}

// planRoam: a laptop is carried to another site and joins the machines there. Words: machine (which one; any
// if not said), and times.
func planRoam(w *World, a args) error {
	name := swarmID(a.text("machine", ""))
	if name != "" && w.byID[name] == nil {
		return bad("machine", string(name))
	}
	t, err := a.times(time.Second)
	if len(w.sites) < 3 {
		return err
	}
	w.eachTime(t, func() func() {
		victims := w.pick(1, func(m *machine) bool {
			return m.on() && !m.egress && len(m.site.machines) > 1 && (name == "" || m.id == name)
		})
		for _, m := range victims {
			m.stop(stopClean)
		}
		return func() {
			for _, m := range victims {
				w.move(m, w.branch())
				m.boot()
			}
		}
	})
	return err
}

// vlan puts the last machines of a site into a network of their own; the one before them stands in both.
func (m *machine) vlan(size, machines, i int) {
	if size > 0 && i >= machines-size {
		m.part, m.egress = 1, false
	}
	m.bridges = size > 0 && i == machines-size-1
}

// move takes a machine that is off to another site.
func (w *World) move(m *machine, to *site) {
	if m.on() || m.site == to {
		return
	}
	for i, o := range m.site.machines {
		if o == m {
			m.site.machines = append(m.site.machines[:i:i], m.site.machines[i+1:]...)
			break
		}
	}
	delete(m.site.byName, m.id)
	m.site, m.part, m.facts.Site = to, 0, to.name
	to.seat(m)
	w.own.say(w.now, "move").str("m", string(m.id)).str("site", to.name).end()
}
