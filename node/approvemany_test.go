package node

import (
	"context"
	"fmt"
	"testing"

	"patchmesh/node/api"
)

// Many updates are approved with one signature, or none of them is.
func TestManyUpdatesAreApprovedTogether(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	r := api.ApproveRequest{Update: "u0", Group: "office"}
	m.token(1) // makes the group
	for i := range 12 {
		id := fmt.Sprintf("u%d", i)
		m.file(id, []byte(id))
		if i > 0 {
			r.Also = append(r.Also, api.Revised{Update: id})
		}
	}
	a := m.machine("a", "", Config{Egress: EgressYes})
	before := m.seed.believer.current().Epoch()
	lacking := r
	lacking.Also = append([]api.Revised{{Update: "nobody-has-it"}}, r.Also...)
	if _, err := m.seed.Approve(context.Background(), lacking); api.ClassOf(err) != api.ClassNotFound || m.seed.believer.current().Epoch() != before {
		t.Errorf("%v, epoch %d after %d", err, m.seed.believer.current().Epoch(), before)
	}
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u0", Also: r.Also, Group: "office", Withdraw: true}); api.ClassOf(err) != api.ClassUsage {
		t.Error(err)
	}
	twice := r
	twice.Also = []api.Revised{{Update: "u1"}, {Update: "u1", Revision: 1}}
	if _, err := m.seed.Approve(context.Background(), twice); api.ClassOf(err) != api.ClassUsage || m.seed.believer.current().Epoch() != before {
		t.Errorf("one named twice: %v, epoch %d after %d", err, m.seed.believer.current().Epoch(), before)
	}
	if _, err := m.seed.WhatIf(context.Background(), r); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("what-if of many speaks of one: %v", err)
	}
	p, err := m.seed.Approve(context.Background(), r)
	if err != nil || !p.Published || p.Epoch != before+1 || p.Machines != 1 || p.Summary != "install u0 and 11 more for group office" {
		t.Fatalf("%+v, %v", p, err)
	}
	until(t, "all to be installed", func() bool {
		n := 0
		for _, u := range m.fleetRow("a").Updates {
			if u.State == "installed" {
				n++
			}
		}
		return n == 12
	})
	a.stop()
}
