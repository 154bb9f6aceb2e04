package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/policy"
)

// orchestrateOrder is an admin who lets only so many machines of a group and a site be changed at once.
func (w *World) orchestrateOrder(o order) (func(), error) {
	most, member := exactly(1), exactly(float64(time.Hour))
	group, site := o.args.text("group", policy.GroupAll), o.args.text("site", "")
	ordered := o.args.text("ordered", "no") == "yes"
	if err := errors.Join(o.args.value("max", &most, parseNumber), o.args.value("member", &member, parseTime), o.args.rest()); err != nil {
		return nil, err
	}
	x := policy.Orchestration{Name: o.what, Group: group, Site: site, Count: int(most.low), Ordered: ordered, GoOn: true, Generation: 1,
		MemberMinutes: int(time.Duration(member.low) / time.Minute)}
	for _, m := range w.machines {
		if !m.seed && m.facts.Site == site && (group == policy.GroupAll || slices.Contains(m.facts.Groups, group)) {
			x.Members = append(x.Members, policy.OrchMember{ID: string(m.id), Name: string(m.id)})
		}
	}
	if err := x.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	return func() {
		w.publish(func(m *policy.Manifest) { m.Orchestrations = append(m.Orchestrations, x) }, nil)
	}, nil
}

func (w *World) sayOrchestration(head int64, o policy.Orchestration) {
	w.own.say(w.now, "orchestration").num("head", head).str("id", o.Name).num("slots", int64(o.Slots())).str("members", strings.Join(o.MemberIDs(), ",")).end()
}
