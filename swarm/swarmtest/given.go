package swarmtest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchmesh/policy"
	"patchmesh/swarm"
)

// verbs are the commands of a script, see doc.go.
var verbs map[string]func(*story, *line) error

func init() { // here because some of them look into the table's other half
	verbs = map[string]func(*story, *line) error{
		"config": doConfig, "machine": doMachine, "update": doUpdate, "revise": doRevise, "line": doLine, "restart": doRestart,
		"peer": doPeer, "flap": doFlap, "down": doDown, "synced": doSynced, "changed": doChanged, "egress": doEgress, "link": doLink,
		"adjacent": doAdjacent, "heard": doHeard, "manifest": doManifest,
		"have": doHave, "gained": doGained, "lost": doLost, "lease": doLease,
		"stored": doStored, "done": doDone, "failed": doFailed,
		"rates": doRates, "budget": doBudget, "spent": doSpent, "conditions": doConditions, "gates": doGates, "gated": doGated, "docked": doDocked,
		"asks": doAsks, "sent": doSent, "queued": doQueued, "acked": doAcked,
		"store": doStore, "damage": doDamage, "dropped": doDropped,
		"sized": doSized, "trail": doTrail, "relay": doRelay,
		"wait": doWait, "sleep": doSleep, "back": doBack, "until": doUntil, "view": doView,
	}
}

// doConfig sets a number of swarm.Config by the name of its field.
func doConfig(s *story, l *line) error {
	if s.core != nil {
		return fmt.Errorf("the numbers are fixed when the machine starts")
	}
	for _, o := range l.options {
		f := reflect.ValueOf(&s.cfg).Elem().FieldByName(o.name)
		if !f.IsValid() {
			return fmt.Errorf("swarm.Config has no %s", o.name)
		}
		if o.name == "Sources" {
			order, err := swarm.ParseSources(o.value)
			if err != nil {
				return err
			}
			s.cfg.Sources = order
			continue
		}
		if d, err := time.ParseDuration(o.value); err == nil && f.Type() == reflect.TypeFor[time.Duration]() {
			f.SetInt(int64(d))
		} else if n, err := strconv.ParseInt(o.value, 10, 64); err == nil && f.Type() != reflect.TypeFor[time.Duration]() {
			f.SetInt(n)
		} else {
			return fmt.Errorf("%s cannot be %s", o.name, o.value)
		}
	}
	l.options = nil
	return nil
}

func doMachine(s *story, l *line) error {
	name, site := l.next(), l.option("site")
	if site == "" {
		site = "s"
	}
	s.self = swarm.Self{
		Peer: swarm.PeerID(name), Site: swarm.SiteID(site), Seed: l.take("seed"), Egress: l.take("egress"), Cache: l.take("cache"),
		Machine: policy.Machine{ID: name, Site: site, Installers: []string{"file"}},
	}
	return s.start()
}

func doUpdate(s *story, l *line) error {
	u := s.update(l.next())
	chunks, bytes := u.info.Chunks, u.info.ChunkBytes
	for name, n := range map[string]*int{"chunks": &chunks, "chunk-bytes": &bytes, "revision": &u.descriptor.Revision} {
		if v := l.option(name); v != "" {
			var err error
			if *n, err = strconv.Atoi(v); err != nil {
				return err
			}
		}
	}
	if chunks != u.info.Chunks || bytes != u.info.ChunkBytes {
		u.resize(chunks, bytes)
	}
	if stored := l.option("stored"); stored != "" {
		u.onDisk = bits(stored)
	}
	if v := l.option("mirrors"); v != "" {
		var err error
		if u.info.Mirrors, err = strconv.Atoi(v); err != nil {
			return err
		}
	}
	u.away = l.take("away")
	u.published = l.take("published")
	u.present = l.take("present")
	return nil
}

// doLine finds the order in which machines take the WAN lease of an update by asking them: a core for
// each, with all the others as its neighbours; whoever claims comes first and then leaves.
func doLine(s *story, l *line) error {
	u, in := s.update(l.next()), l.words
	l.words = nil
	var order []string
	for len(in) > 0 {
		first := slices.IndexFunc(in, func(me string) bool { return s.claims(u, me, in) })
		if first < 0 {
			return fmt.Errorf("nobody of %v takes the lease", in)
		}
		order = append(order, in[first])
		in = slices.Delete(slices.Clone(in), first, first+1)
	}
	fmt.Fprintf(s.out, "%s: %s\n", u.name, strings.Join(order, ", then "))
	return nil
}

// claims plays a machine for long enough to see whether it takes the lease.
func (s *story) claims(u *update, me string, all []string) bool {
	try := &story{script: &script{show: map[string]bool{"none": true}}, cfg: swarm.DefaultConfig(), now: begin, said: begin, out: &strings.Builder{}, seqs: map[swarm.PeerID]uint64{}}
	try.updates = append(try.updates, &update{name: u.name, id: u.id, descriptor: u.descriptor, info: u.info, onDisk: u.onDisk.Clone()})
	try.waitFor = "fetch-origin"
	for _, text := range []string{"machine " + me + " egress", "peer seed seed site=hq", "peer " + strings.Join(slices.DeleteFunc(slices.Clone(all), func(o string) bool { return o == me }), " ") + " egress", "manifest " + u.name + "=install", "wait 10s"} {
		l := parse(text)
		if err := verbs[l.verb](try, &l); err != nil {
			panic(err)
		}
	}
	return try.waitFor == ""
}

// doRestart boots again with what was saved and what the store has.
func doRestart(s *story, _ *line) error {
	s.open = nil
	if err := s.start(); err != nil {
		return err
	}
	if s.manifest == nil {
		return nil
	}
	return s.step(swarm.ManifestArrived{Version: s.version, Root: s.root, Manifest: s.manifest, ExpiresAt: s.expires})
}

func doWait(s *story, l *line) error {
	d, err := time.ParseDuration(l.next())
	if err != nil {
		return err
	}
	return s.pass(d, func() bool { return false })
}

func doSleep(s *story, l *line) error {
	d, err := time.ParseDuration(l.next())
	s.now = s.now.Add(d)
	return err
}

// doBack turns the machine's clock back.
func doBack(s *story, l *line) error {
	d, err := time.ParseDuration(l.next())
	s.now = s.now.Add(-d)
	return err
}

func doUntil(s *story, l *line) error {
	s.waitFor = l.next()
	limit := 5 * time.Minute
	if text := l.next(); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			return err
		}
	}
	what := s.waitFor
	if err := s.pass(limit, func() bool { return s.waitFor == "" }); err != nil {
		return err
	}
	if s.waitFor != "" {
		s.waitFor = ""
		s.say("no %s in %v", what, limit)
	}
	return nil
}

// doView prints what people would see.
func doView(s *story, l *line) error {
	v := s.core.View()
	all := len(l.words) == 0
	if l.take("tasks") || all {
		for _, t := range v.Tasks {
			s.say("%s", words(string(t.Verdict.Update)+":", t.State, t.Reason, parens(t.Detail)))
		}
	}
	if l.take("payloads") || all {
		for _, p := range v.Payloads {
			s.say("%s", words(s.byPayload(p.ID).name+":", fmt.Sprintf("%d of %d chunks", p.HaveChunks, p.Chunks),
				choose(p.Ready, "ready", ""), choose(p.Leased, "leased", ""), tiers(p.Subnet, p.Site, p.Cache, p.Seed, p.Wasted, p.Duplicate, p.Origin, p.Neighbour)))
		}
	}
	if l.take("store") {
		for _, v := range v.Store {
			s.say("%s: %s, %d copies, %d fetching, %d away", s.byPayload(v.Payload).name, v.Keep, v.Copies, v.Wanting, v.Absent)
		}
	}
	if l.take("peers") || all {
		for _, p := range v.Peers {
			s.say("%s", words(string(p.ID)+":", choose(p.Seed, "seed", ""), choose(p.Egress, "egress", ""), choose(p.Cache, "cache", ""), choose(p.WiFi, "wifi", ""), choose(p.Shunned, "shunned", ""),
				fmt.Sprintf("sent us %dKiB, got %dKiB", p.BytesIn>>10, p.BytesOut>>10)))
		}
	}
	if l.take("eligible") {
		for _, p := range v.Peers {
			s.say("%s: gives%s, takes%s", p.ID, eligible(p.Gives, s.now), eligible(p.Takes, s.now))
		}
		g := v.Gate
		s.say("this machine: serves%s, far%s, wan%s, fetches%s, helps%s", eligible(g.Serve, s.now), eligible(g.Far, s.now), eligible(g.Afar, s.now), eligible(g.Fetch, s.now), eligible(g.Help, s.now))
	}
	return nil
}

// eligible says nothing where chunks go, and otherwise why not.
func eligible(e swarm.Eligible, now time.Time) string {
	if e.Reason == "" {
		return ""
	}
	text := " not (" + words(e.Reason, e.Detail)
	if !e.Until.IsZero() {
		text += fmt.Sprintf(", for %v", e.Until.Sub(now))
	}
	return text + ")"
}
