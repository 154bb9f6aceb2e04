package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/swarm"
)

// planLiars: some machines lie from the beginning to the end. Words: share, kinds (comma: chunks,
// bits, silent, heads, leases, refuses; each liar draws one or two of them).
func planLiars(w *World, a args) error {
	share := exactly(0.1)
	if err := a.value("share", &share, parseShare); err != nil {
		return err
	}
	var kinds []lies
	for k := range strings.SplitSeq(a.text("kinds", strings.Join(lieNames, ",")), ",") {
		i := slices.Index(lieNames, k)
		if i < 0 {
			return fmt.Errorf("kind %.20q: %w", k, ErrScenario)
		}
		kinds = append(kinds, 1<<i)
	}
	// At least one machine of every site is honest and may use the WAN: nothing can be asked of a site
	// that is all lies.
	spared := map[*site]*machine{}
	for _, m := range w.ordinary() {
		if m.egress && spared[m.site] == nil {
			spared[m.site] = m
		}
	}
	for _, m := range w.pick(w.some(share.draw(w.rng)), func(m *machine) bool { return spared[m.site] != m && m.lies == 0 }) {
		m.lies = kinds[w.rng.IntN(len(kinds))]
		if w.rng.IntN(3) == 0 {
			m.lies |= kinds[w.rng.IntN(len(kinds))]
		}
		if m.lies&lieLeases != 0 {
			w.squat(m, squatEvery)
		}
	}
	return nil
}

// lieTo tells a new session what the liar claims to have.
func (m *machine) lieTo(ses *session) {
	if m.lies&(lieChunks|lieBits|lieSilent) == 0 {
		return
	}
	for _, u := range m.site.w.updates {
		m.letter(ses, swarm.HaveArrived{From: m.id, Payload: u.info.ID, Bits: content.FullBits(u.info.Chunks)}, 4*m.site.lan.Delay)
	}
}

// squatEvery is how often a squatter claims the leases again at first; squatMost once it has done so for
// long, so that a day of it costs a run little.
const (
	squatEvery = 3 * time.Second
	squatMost  = 10 * time.Minute
)

// squat claims the lease of everything, for ever.
func (w *World) squat(m *machine, every time.Duration) {
	w.after(every, func() {
		if w.stopped != "" {
			return
		}
		if m.on() {
			for _, ses := range m.sessions {
				for _, u := range w.updates {
					m.letter(ses, swarm.LeaseHeard{From: m.id, Payload: u.info.ID, Held: true}, 0)
				}
			}
		}
		w.squat(m, min(every+every/20, squatMost))
	})
}

// planRevoke: machines are locked out while all goes on. Words: times without lasts.
func planRevoke(w *World, a args) error {
	t, err := a.times(time.Second)
	w.eachTime(t, func() func() {
		for _, m := range w.pick(1, func(m *machine) bool { return !m.revoked && !m.egress }) {
			w.pending++
			w.whenSeedIsOn(func() { w.pending--; w.revoke(m) })
		}
		return nil
	})
	return err
}

// planTurnKey: the seed gets a new timestamp key. Words: times without lasts.
func planTurnKey(w *World, a args) error {
	t, err := a.times(time.Second)
	w.eachTime(t, func() func() {
		w.pending++
		w.whenSeedIsOn(func() { w.pending--; w.turnKey() })
		return nil
	})
	return err
}

// planHoldRace: a hold of everything is published, and released when its time is over. Words: times.
func planHoldRace(w *World, a args) error {
	t, err := a.times(10 * time.Second)
	n := 0
	w.eachTime(t, func() func() {
		n++
		name := fmt.Sprintf("race-%d", n)
		hold := order{verb: "hold", what: "all", args: args{map[string]string{"name": name}, map[string]bool{}}}
		release := order{verb: "release", what: name, args: args{map[string]string{}, map[string]bool{}}}
		do, err1 := w.order(hold)
		undo, err2 := w.order(release)
		if errors.Join(err1, err2) != nil {
			return nil
		}
		w.pending++
		w.whenSeedIsOn(func() { w.pending--; do() })
		return func() {
			w.pending++
			w.whenSeedIsOn(func() { w.pending--; undo() })
		}
	})
	return err
}
