package swarmtest

import (
	"fmt"
	"strconv"

	"patchmesh/swarm"
)

// doSized says how many machines the site has.
func doSized(s *story, l *line) error {
	n, err := strconv.Atoi(l.next())
	if err != nil {
		return err
	}
	return s.step(swarm.SiteSized{Machines: n})
}

// doTrail has a neighbour tell of a trail: its own unless a holder is named.
func doTrail(s *story, l *line) error {
	from, word := swarm.PeerID(l.next()), l.next()
	ev := swarm.TrailHeard{From: from, Payload: s.of(l).info.ID}
	if word == "none" {
		return s.step(ev)
	}
	for kind, name := range trailNames {
		if name == word {
			ev.Trail.Kind = kind
		}
	}
	if ev.Trail.Kind == swarm.TrailNone {
		return fmt.Errorf("a trail is to a lease, a source or to one who sought, or none; not %q", word)
	}
	ev.Trail.Holder = from
	if v := l.option("holder"); v != "" {
		ev.Trail.Holder = swarm.PeerID(v)
	}
	var err error
	if v := l.option("hops"); v != "" {
		if ev.Trail.Hops, err = strconv.Atoi(v); err != nil {
			return err
		}
	}
	if ev.Trail.Seq, err = strconv.ParseUint(l.option("seq"), 10, 64); err != nil {
		return err
	}
	return s.step(ev)
}

// doRelay has a neighbour ask this machine to fetch a payload for it, or not any more.
func doRelay(s *story, l *line) error {
	from, on := swarm.PeerID(l.next()), l.next() == "on"
	return s.step(swarm.RelayAsked{From: from, Payload: s.of(l).info.ID, On: on})
}
