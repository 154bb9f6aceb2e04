package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"patchmesh/swarm"
)

// faults are what can go wrong, by the name that a scenario calls it. Each reads its words and plans
// what it does; it may stand in a scenario more than once.
var faults map[string]func(*World, args) error

func init() {
	faults = map[string]func(*World, args) error{
		"crash": planCrash, "partition": planPartition, "churn": planChurn, "slow": planSlow, "full-disk": planFullDisk,
		"rot": planRot, "liars": planLiars, "seed-down": planSeedDown, "wan-down": planWANDown, "clock": planClock,
		"off": planOff, "revoke": planRevoke, "turn-key": planTurnKey, "roam": planRoam, "hold-race": planHoldRace,
		"swap": planSwap, "stick": planStick, "shift": planShift,
	}
}

func (w *World) planFaults() error {
	var errs []error
	for _, f := range w.sc.faults {
		a := args{f.args.m, map[string]bool{}}
		if err := errors.Join(faults[f.name](w, a), a.rest()); err != nil {
			errs = append(errs, fmt.Errorf("scenario %s: fault %s: %w", w.sc.Name, f.name, err))
		}
	}
	return errors.Join(errs...)
}

// times are when a fault begins, between from and until, how often, and how long each lasts.
type times struct{ from, until, times, lasts value }

// times reads the words that faults share; def is how long one lasts if nothing is said.
func (a args) times(def time.Duration) (times, error) {
	t := times{
		from: exactly(0), until: exactly(float64(60 * time.Second)), times: exactly(1),
		lasts: value{low: float64(def) / 2, high: float64(def) * 2},
	}
	err := errors.Join(a.value("from", &t.from, parseTime), a.value("until", &t.until, parseTime),
		a.value("times", &t.times, parseNumber), a.value("lasts", &t.lasts, parseTime))
	return t, err
}

// eachTime plans begin at times drawn from t, and what it returns for when that time's trouble ends.
// The run does not end before all of it has.
func (w *World) eachTime(t times, begin func() (end func())) {
	from, until := t.from.draw(w.rng), t.until.draw(w.rng)
	for range t.times.drawInt(w.rng) {
		at := value{low: from, high: max(from, until)}.draw(w.rng)
		lasts := t.lasts.drawTime(w.rng)
		w.openEnds++
		w.at(int64(at), func() {
			end := begin()
			if end == nil {
				w.openEnds--
				w.quiet()
				return
			}
			w.after(lasts, func() {
				end()
				w.openEnds--
				w.quiet()
			})
		})
	}
}

func (w *World) quiet() {
	if w.openEnds == 0 {
		w.own.say(w.now, "quiet").end()
	}
}

func (w *World) sayFault(name, what string) {
	w.own.say(w.now, "fault").str("name", name).str("what", word(what)).end()
}

// ordinary are the machines that faults pick from: all but the seed.
func (w *World) ordinary() []*machine { return w.machines[1:] }

// pick draws so many different machines that match, at most all there are.
func (w *World) pick(n int, match func(*machine) bool) []*machine {
	var out []*machine
	all := w.ordinary()
	for _, i := range w.rng.Perm(len(all)) {
		if len(out) >= n {
			break
		}
		if match(all[i]) {
			out = append(out, all[i])
		}
	}
	slices.SortFunc(out, func(a, b *machine) int { return a.index - b.index })
	return out
}

// some is how many machines a share of all is, one at least if the share is above zero.
func (w *World) some(share float64) int {
	if share <= 0 {
		return 0
	}
	return max(1, int(share*float64(len(w.ordinary()))+0.5))
}

func isOn(m *machine) bool { return m.on() }

// branch draws one of the sites with machines.
func (w *World) branch() *site {
	if len(w.sites) == 1 { // all machines stand beside the seed
		return w.sites[0]
	}
	return w.sites[1+w.rng.IntN(len(w.sites)-1)]
}

func swarmID(s string) swarm.PeerID { return swarm.PeerID(s) }

// reunite looks at every session after lines have healed: what was held back arrives, and who is not
// connected dials again within the connector's pause.
func (w *World) reunite(s *site) {
	for _, m := range s.machines {
		for _, ses := range m.sessions {
			w.release(m, ses)
		}
		if m.on() {
			m.redial(time.Duration(w.rng.Int64N(int64(retryMost))))
		}
	}
	for _, ses := range w.hq.sessions {
		w.release(w.hq, ses)
	}
	s.stirGossip()
}

func (w *World) release(m *machine, ses *session) {
	if len(ses.held) == 0 || apart(m, ses.peer) {
		return
	}
	held := ses.held
	ses.held = nil
	for _, e := range held {
		e.at = w.now + int64(retransmit)
		m.site.push(e)
	}
}
