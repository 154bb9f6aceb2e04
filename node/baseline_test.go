package node

import (
	"context"
	"slices"
	"testing"

	"patchmesh/node/api"
)

// R-M3: a machine that has joined lacks its baseline until it has installed it, on the seed's list and on its own; the
// baseline itself installs nothing.
func TestRM3StatusSaysWhichMachineLacksWhatOfTheBaseline(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	m.join("a")
	m.file("u1", payload(1000))
	m.file("u2", payload(1000))
	if p, err := m.seed.SetBaseline(ctx, api.BaselineRequest{Group: "office", Updates: []string{"u2", "u1"}}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	a := m.run("a", Config{Egress: EgressYes})
	m.approve("u1")
	until(t, "u1 to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	lacks := func(n *Node, machine string) []string {
		f, err := n.Status(ctx, api.StatusQuery{Machine: machine})
		if err != nil {
			t.Fatal(err)
		}
		return f.Machines[0].BaselineMissing
	}
	until(t, "the seed to know", func() bool { return slices.Equal(lacks(m.seed.Node, "a"), []string{"u2"}) })
	if got := lacks(a.Node, "a"); !slices.Equal(got, []string{"u2"}) {
		t.Errorf("the machine itself says %v", got)
	}
	v, err := m.seed.Baselines(ctx, api.BaselineQuery{})
	if err != nil || len(v.Baselines) != 1 || !slices.Equal(v.Baselines[0].Unapproved, []string{"u2"}) {
		t.Fatalf("%+v, %v", v, err)
	}
	if p, err := m.seed.SetBaseline(ctx, api.BaselineRequest{Group: "office", FromApprovals: true}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	if got := lacks(m.seed.Node, "a"); len(got) != 0 {
		t.Errorf("after the update of the baseline it lacks %v", got)
	}
	if _, err := m.seed.SetBaseline(ctx, api.BaselineRequest{Group: "office", Updates: []string{"nowhere"}}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("%v", err)
	}
}
