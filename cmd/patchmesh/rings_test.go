package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// R-B10: where one update goes along a plan for several groups, people see which line is about which.
func TestRB10RolloutsOfOneUpdateAreToldApart(t *testing.T) {
	var b bytes.Buffer
	writeRings(&b, &api.Rings{Rollouts: []api.Rollout{
		{Update: "u1", Revision: 1, Group: "office", Plan: "p", Next: "done"}, {Update: "u1", Revision: 1, Group: "lab", Plan: "p", Next: "wait"},
		{Update: "u2", Revision: 1, Group: "all", Plan: "p", Next: "wait"},
	}})
	for _, want := range []string{"u1 revision 1 for group office along p: done", "u1 revision 1 for group lab along p: wait", "u2 revision 1 along p: wait"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, &b)
		}
	}
}

// R-B9, R-B10: what is told as the command that makes a plan makes the same plan when it is given.
func TestRB10ARingIsToldAsItIsMade(t *testing.T) {
	for _, text := range []string{
		"pilot:groups=pilot", "pilot:groups=pilot+it,success=90%,count=3,soak=48h,fail=1", "pilot:groups=pilot,manual,fail=0",
		"pilot:groups=pilot,success=0,skip-empty,fail=10%,fail=3", "pilot:groups=pilot,count=2,evidence=business+rollback,spread=1d,soak=90m",
	} {
		for _, last := range []bool{false, true} {
			var is, again api.RingsRequest
			if err := addRing(&is, text, last); err != nil {
				t.Fatal(err)
			}
			spec := is.Plan.Rings[0].Spec()
			if err := addRing(&again, spec, last); err != nil || !reflect.DeepEqual(is.Plan, again.Plan) {
				t.Errorf("%s, told as %s: %+v, %v", text, spec, again.Plan, err)
			}
		}
	}
}
