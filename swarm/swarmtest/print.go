package swarmtest

import (
	"fmt"
	"strings"
	"time"

	"patchmesh/swarm"
)

// print writes an action if the file shows its kind.
func (s *story) print(act swarm.Action) {
	name, text := s.spell(act)
	if name == s.waitFor {
		s.waitFor = ""
	}
	if len(s.script.show) > 0 && !s.script.show[name] {
		return
	}
	s.say("%s: %s", s.self.Peer, strings.TrimSpace(name+" "+text))
}

// say writes a line of output, after the time that has passed since the last one.
func (s *story) say(format string, args ...any) {
	if d := s.now.Sub(s.said); d > 0 {
		fmt.Fprintf(s.out, "after %v:\n", d.Round(time.Millisecond))
	}
	s.said = s.now
	fmt.Fprintf(s.out, format+"\n", args...)
}

// spell gives the name of an action and what it says.
func (s *story) spell(act swarm.Action) (name, text string) {
	switch a := act.(type) {
	case swarm.Link:
		return "link", choose(a.Want, "wanted", "not needed")
	case swarm.LinkAdjacent:
		return "link-adjacent", choose(a.Want, "wanted", "not needed")
	case swarm.Unlink:
		return "unlink", words(a.Peer, a.Reason)
	case swarm.Announce:
		return "announce", fmt.Sprintf("version=%d", a.Version)
	case swarm.AskManifest:
		return "ask-manifest", fmt.Sprintf("from=%s version=%d", a.From, a.Version)
	case swarm.AskDescriptor:
		return "ask-descriptor", s.byDescriptor(a.ID).name + " from=" + choose(a.From == "", "home", string(a.From))
	case swarm.OpenPayload:
		return "open-payload", s.byPayload(a.Payload).name
	case swarm.FetchChunk:
		return "fetch-chunk", fmt.Sprintf("%s/%d from=%s", s.byPayload(a.Payload).name, a.Index, a.From)
	case swarm.FetchOrigin:
		if a.From == "" {
			return "fetch-origin", fmt.Sprintf("%s/%d from=mirror-%d", s.byPayload(a.Payload).name, a.Index, a.Mirror)
		}
		return "fetch-origin", fmt.Sprintf("%s/%d from=%s", s.byPayload(a.Payload).name, a.Index, a.From)
	case swarm.CancelFetch:
		r, _ := s.byReq(a.Req)
		if r.of == nil {
			return "cancel-fetch", "of a request that has ended"
		}
		return "cancel-fetch", fmt.Sprintf("%s/%d from=%s", r.of.name, r.index, r.from)
	case swarm.Serve:
		return "serve", s.spellAsk(a.Ref)
	case swarm.RefuseUpload:
		return "refuse", s.spellAsk(a.Ref) + " " + className(a.Class)
	case swarm.Assemble:
		if a.Installs {
			return "assemble", s.byPayload(a.Payload).name + " to-install"
		}
		return "assemble", s.byPayload(a.Payload).name
	case swarm.Detect:
		return "detect", s.byDescriptor(a.Descriptor).name
	case swarm.CopyEarly:
		if a.Descriptor.IsZero() {
			return "copy-early", "nothing"
		}
		return "copy-early", s.byDescriptor(a.Descriptor).name
	case swarm.Install:
		return "install", s.byDescriptor(a.Descriptor).name
	case swarm.Remove:
		return "remove", s.byDescriptor(a.Descriptor).name
	}
	return s.spellTalk(act)
}

// spellTalk spells what is said to neighbours, to the disk and to people.
func (s *story) spellTalk(act swarm.Action) (name, text string) {
	switch a := act.(type) {
	case swarm.TellHave:
		return "tell-have", fmt.Sprintf("to=%s %s %s%s", a.To, s.byPayload(a.Payload).name, draw(a.Bits), choose(a.Want, " want", ""))
	case swarm.TellSynced:
		return "tell-synced", fmt.Sprintf("to=%s", a.To)
	case swarm.TellGained:
		return "tell-gained", fmt.Sprintf("to=%s %s/%s", commas(a.To), s.byPayload(a.Payload).name, commas(a.Indexes))
	case swarm.TellLease:
		return "tell-lease", fmt.Sprintf("to=%s %s %s", a.To, s.byPayload(a.Payload).name, choose(a.Held, "claimed", "given-up"))
	case swarm.TellTrail:
		return "tell-trail", fmt.Sprintf("to=%s %s %s", a.To, s.byPayload(a.Payload).name, spellTrail(a.Trail))
	case swarm.TellCard:
		return "tell-card", fmt.Sprintf("to=%s %s of %s", commas(a.To), a.Card.Name, a.Card.Member)
	case swarm.AskRelay:
		return "ask-relay", fmt.Sprintf("to=%s %s %s", a.To, s.byPayload(a.Payload).name, choose(a.On, "on", "off"))
	case swarm.TellLost:
		return "tell-lost", fmt.Sprintf("to=%s %s", a.To, s.byPayload(a.Payload).name)
	case swarm.Evict:
		return "evict", fmt.Sprintf("%s %s", s.byPayload(a.Payload).name, a.Keep)
	case swarm.TellEgress:
		return "tell-egress", fmt.Sprintf("to=%s %s", a.To, choose(a.Egress, "egress", "no-egress"))
	case swarm.TellSpent:
		return "tell-spent", fmt.Sprintf("to=%s %s", a.To, spellLedger(a.Entries))
	case swarm.TellGate:
		return "tell-gate", words(fmt.Sprintf("to=%s", a.To), prefix("serve=", a.Serve), prefix("wan=", a.WAN))
	case swarm.Report:
		return "report", fmt.Sprintf("seq=%s", seqText(a.Seq))
	case swarm.Forward:
		return "forward", fmt.Sprintf("report of %s seq=%s to=%s", a.Machine, seqText(a.Seq), a.To)
	case swarm.Save:
		return "save", s.spellSnapshot(a.Snapshot)
	case swarm.Note:
		of := string(a.Update)
		if of == "" && !a.Payload.IsZero() {
			of = s.byPayload(a.Payload).name
		}
		state := ""
		if a.Kind == swarm.NoteTask {
			state = a.State.String()
		}
		return "note-" + string(a.Kind), words(of, a.Peer, state, a.Reason, parens(a.Text))
	}
	panic(fmt.Sprintf("swarmtest has no words for %T", act))
}

func (s *story) spellAsk(ref uint64) string {
	a := s.refs[ref-1]
	return fmt.Sprintf("%s/%d to=%s", a.of.name, a.index, a.from)
}

// spellSnapshot says what would survive a crash now.
func (s *story) spellSnapshot(snap swarm.Snapshot) string {
	var parts []string
	for _, t := range snap.Tasks {
		text := fmt.Sprintf("%s:%s", t.Update, t.State)
		if t.Attempts > 0 {
			text += fmt.Sprintf(",attempts=%d", t.Attempts)
		}
		parts = append(parts, text)
	}
	for _, x := range snap.Shuns {
		parts = append(parts, fmt.Sprintf("shunned:%s", x.Peer))
	}
	for _, p := range snap.Payloads {
		if by := tiers(p.Subnet, p.Site, p.Cache, p.Seed, p.Wasted, p.Duplicate, p.Origin, p.Neighbour); by != "" {
			parts = append(parts, fmt.Sprintf("bytes-of-%s:%s", s.byPayload(p.ID).name, by))
		}
	}
	return strings.Join(parts, " ")
}

// tiers spells byte counts by where the bytes came from, leaving out zeros.
func tiers(subnet, site, cache, seed, wasted, duplicate, origin, neighbour int64) string {
	var parts []string
	for _, t := range []struct {
		name  string
		bytes int64
	}{{"subnet", subnet}, {"site", site}, {"cache", cache}, {"seed", seed}, {"wasted", wasted}, {"duplicate", duplicate}, {"origin", origin}, {"neighbour", neighbour}} {
		if t.bytes != 0 {
			parts = append(parts, fmt.Sprintf("%s=%dKiB", t.name, t.bytes>>10))
		}
	}
	return strings.Join(parts, ",")
}

// seqText is a report number as the time since the story began: that is what it is made from.
func seqText(seq uint64) string {
	return (time.Duration(int64(seq)-begin.UnixMilli()) * time.Millisecond).String()
}

func className(c swarm.Class) string {
	return [...]string{swarm.Retry: "retry", swarm.Refuse: "refuse", swarm.Busy: "busy", swarm.Absent: "absent"}[c]
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func parens(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

// words joins what is not empty.
func words(parts ...any) string {
	var out []string
	for _, p := range parts {
		if t := fmt.Sprint(p); t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, " ")
}

// commas joins a list.
func commas[T any](list []T) string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = fmt.Sprint(x)
	}
	return strings.Join(out, ",")
}

// spellTrail says where a trail leads.
func spellTrail(t swarm.Trail) string {
	if t.Kind == swarm.TrailNone {
		return "none"
	}
	return fmt.Sprintf("%s holder=%s hops=%d", trailNames[t.Kind], t.Holder, t.Hops)
}

var trailNames = map[swarm.TrailKind]string{swarm.TrailSought: "sought", swarm.TrailLease: "lease", swarm.TrailSource: "source"}
