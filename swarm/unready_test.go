package swarm

import (
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// R-H8: an update that must be installed alone and whose content nobody holds keeps no other away, also after the program
// was started anew. Once somebody holds it, it goes in, and what is due then goes after it.
func TestRH8WhatCannotBeFetchedKeepsNothingAway(t *testing.T) {
	w := newWorld(t, 2, 1)
	m, seed := w.nodes["m01"], w.nodes["seed"]
	w.publish("alone", 2)
	w.descs[content.Sum([]byte("descriptor alone"))].Exclusive = "yes"
	l := payloadOf("alone")
	full := seed.store[l]
	seed.store[l], seed.ready[l] = content.NewBits(2), false
	w.kill("seed")
	w.start(seed)
	w.run(time.Minute)
	if _, there := m.installed["alone"]; there {
		t.Fatal("it came although nobody holds it")
	}
	for _, u := range []policy.UpdateID{"other", "third"} {
		w.publish(string(u), 2)
		w.run(2 * time.Minute)
		if _, there := m.installed[u]; !there {
			k := findTask(m.core.tasks.tasks, u)
			t.Errorf("%s is %s (%s)", u, k.state, k.detail)
		}
		w.kill("m01")
		w.start(m)
	}
	seed.store[l], seed.ready[l] = full, true
	for _, n := range []*worldNode{seed, m} {
		w.kill(n.id)
		w.start(n)
	}
	w.run(time.Hour)
	if _, there := m.installed["alone"]; !there {
		k := findTask(m.core.tasks.tasks, "alone")
		t.Errorf("once it can be had it is %s (%s)", k.state, k.detail)
	}
}

// R-H8: one that must be alone goes before all others from the moment at which its content is whole.
func TestRH8WhatMustBeAloneGoesFirstOnceItIsHere(t *testing.T) {
	w := newWorld(t, 1, 0)
	c := w.nodes["m00"].core
	w.publish("alone", 2)
	d := w.descs[content.Sum([]byte("descriptor alone"))]
	d.Exclusive = "yes"
	w.publish("other", 400)
	ready := w.until(time.Minute, func() bool { l := c.byMap[d.Payload]; return l != nil && l.ready })
	k := findTask(c.tasks.tasks, "other")
	if ready >= time.Minute || k.verdict.Verb != policy.VerbStage || k.verdict.Reason != policy.ReasonExclusive {
		t.Errorf("after %s the other one has %+v", ready, k.verdict)
	}
	w.run(10 * time.Minute)
	for _, u := range []policy.UpdateID{"alone", "other"} {
		if _, there := w.nodes["m00"].installed[u]; !there {
			t.Errorf("%s is not there", u)
		}
	}
}
