package sim

import (
	"time"

	"patchmesh/swarm"
)

// memberDelay is how long it takes until what gossip knows of who is there has settled.
const memberDelay = time.Second

// dialled is how many sessions a machine of this site opens by itself.
func (s *site) dialled() int {
	if s.dialMost == 0 {
		return maxDialled
	}
	return s.dialMost
}

// countMembers plans to tell the machines of the site how many they are, as gossip does. Where everybody dials
// everybody that decides nothing.
func (s *site) countMembers() {
	if s.counting || len(s.machines) <= s.dialled()+1 {
		return
	}
	s.counting = true
	s.push(entry{at: s.now + int64(memberDelay), what: s.tellMembers})
}

func (s *site) tellMembers() {
	s.counting = false
	parts := map[int]int{} // looked up by part only
	for _, m := range s.machines {
		if m.on() {
			parts[m.part]++
		}
	}
	for _, m := range s.machines {
		if !m.on() {
			continue
		}
		n := parts[m.part]
		have := m.neighbours() + 1
		if m.told == n || m.told != 0 && (m.told > have) == (n > have) && 8*max(n-m.told, m.told-n) < m.told {
			continue // nothing that it would act upon
		}
		m.told = n
		m.step(swarm.SiteSized{Machines: n})
	}
}
