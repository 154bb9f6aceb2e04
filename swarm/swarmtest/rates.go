package swarmtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

// doRates sets how fast the machine may receive, in KiB/s by class; "none" lets nothing pass.
func doRates(s *story, l *line) error {
	e := swarm.RatesChanged{}
	for c := range rate.Classes {
		e.Down[c] = rate.Unlimited
		switch v := l.option(c.String()); v {
		case "":
		case "none":
			e.Down[c] = 0
		default:
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return err
			}
			e.Down[c] = rate.Rate(rate.OnWire(n << 10))
		}
	}
	return s.step(e)
}

// doBudget sets the WAN budget of the site in KiB.
func doBudget(s *story, l *line) error {
	e := swarm.BudgetChanged{MayPass: l.take("passable")}
	for name, into := range map[string]*int64{"day": &e.Budget.DayBytes, "month": &e.Budget.MonthBytes} {
		if v := l.option(name); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return err
			}
			*into = n << 10
		}
	}
	return s.step(e)
}

// doSpent says that a neighbour tells what machines have taken today, in KiB.
func doSpent(s *story, l *line) error {
	p := rate.Budget{}.Period(s.now)
	e := swarm.SpentHeard{From: swarm.PeerID(l.next())}
	for _, o := range l.options {
		n, err := strconv.ParseInt(o.value, 10, 64)
		if err != nil {
			return err
		}
		e.Entries = append(e.Entries, rate.Entry{Machine: o.name, Day: p.Day, DayBytes: n << 10, Month: p.Month, MonthBytes: n << 10})
	}
	l.options = nil
	return s.step(e)
}

// doConditions tells the conditions of the machine.
func doConditions(s *story, l *line) error {
	x := swarm.Conditions{Metered: l.take("metered"), VPN: l.take("vpn"), WiFi: l.take("wifi"), Away: l.take("away")}
	x.BatteryPercent = 100
	for name, into := range map[string]*int{"battery": &x.BatteryPercent, "cpu": &x.CPUPercent, "disk-queue": &x.DiskQueue} {
		if v := l.option(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return err
			}
			*into, x.OnBattery = n, x.OnBattery || name == "battery"
		}
	}
	if v := l.option("other"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return err
		}
		x.OtherBytes = n << 10
	}
	if v := l.option("free"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return err
		}
		x.FreeBytes, x.FreeKnown = n<<20, true
	}
	return s.step(swarm.ConditionsChanged{Conditions: x})
}

// doGates sets when gates close.
func doGates(s *story, l *line) error {
	e := swarm.GatesChanged{BatteryPercent: s.cfg.GateBatteryPercent, FreeBytes: s.cfg.GateFreeBytes, VPN: s.cfg.VPN}
	for name, into := range map[string]*int{"battery": &e.BatteryPercent, "cpu": &e.CPUPercent, "disk-queue": &e.DiskQueue} {
		if v := l.option(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return err
			}
			*into = n
		}
	}
	return s.step(e)
}

// doGated says what a neighbour does not do at present.
func doGated(s *story, l *line) error {
	e := swarm.PeerGated{Serve: policy.Reason(l.option("serve")), WAN: policy.Reason(l.option("wan"))}
	e.Peer = swarm.PeerID(l.next())
	return s.step(e)
}

// doDocked says that a neighbour is not on Wi-Fi any more.
func doDocked(s *story, l *line) error {
	return s.step(swarm.RoleHeard{Peer: swarm.PeerID(l.next())})
}

// spellLedger says who has taken how much today and this month.
func spellLedger(es []rate.Entry) string {
	var parts []string
	for _, e := range es {
		parts = append(parts, fmt.Sprintf("%s=%dKiB/%dKiB", e.Machine, e.DayBytes>>10, e.MonthBytes>>10))
	}
	return strings.Join(parts, " ")
}

func prefix(p string, r policy.Reason) string {
	if r == "" {
		return ""
	}
	return p + string(r)
}

// hurry gives an approval what follows its action: "install+expedite", "install+deadline:48h", "install+expedite+budget".
func hurry(a *policy.Approval, now time.Time) {
	action, rest, _ := strings.Cut(string(a.Action), "+")
	a.Action = policy.Action(action)
	for how := range strings.SplitSeq(rest, "+") {
		a.Expedite, a.IgnoreBudget = a.Expedite || how == "expedite", a.IgnoreBudget || how == "budget"
		if text, ok := strings.CutPrefix(how, "deadline:"); ok {
			if d, err := time.ParseDuration(text); err == nil {
				a.Deadline = now.Add(d)
			}
		}
	}
}
