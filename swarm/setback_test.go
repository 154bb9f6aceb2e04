package swarm

import (
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// R-H8, R-H6: an update that must be installed alone and fails on a machine, or was rolled back there, keeps no later one
// away from it, and goes first again when it is tried again; also after the program was started anew.
func TestRH8WhatFailsAloneKeepsNothingAway(t *testing.T) {
	for _, why := range []policy.Reason{policy.ReasonRolledBackAuto, policy.ReasonInstallerExit} {
		w := newWorld(t, 2, 1)
		m := w.nodes["m01"]
		w.broken = map[policy.UpdateID]policy.Reason{"alone": why}
		w.publish("alone", 2)
		w.descs[content.Sum([]byte("descriptor alone"))].Exclusive = "yes"
		w.run(time.Minute)
		if k := findTask(m.core.tasks.tasks, "alone"); k.undone == nil && k.failed == nil {
			t.Fatalf("%s: it did not fail: %+v", why, k)
		}
		w.publish("other", 2)
		w.run(time.Minute)
		if _, there := m.installed["other"]; !there {
			k := findTask(m.core.tasks.tasks, "other")
			t.Errorf("%s: the other one is %s (%s)", why, k.state, k.detail)
		}
		w.kill("m01")
		w.start(m)
		w.publish("third", 2)
		w.run(time.Minute)
		if _, there := m.installed["third"]; !there {
			k := findTask(m.core.tasks.tasks, "third")
			t.Errorf("%s: after a new start the third one is %s (%s)", why, k.state, k.detail)
		}
		w.broken = nil
		w.run(24 * time.Hour)
		if _, there := m.installed["alone"]; there != (why == policy.ReasonInstallerExit) {
			t.Errorf("%s: at last it is there %v", why, there)
		}
	}
}
