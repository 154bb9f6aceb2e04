package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"patchmesh/policy"
)

// windowOrder is an admin who states a daily maintenance window.
func (w *World) windowOrder(o order) (func(), error) {
	opens, lasts := exactly(0), exactly(float64(time.Hour))
	group := o.args.text("group", policy.GroupAll)
	if err := errors.Join(o.args.value("opens", &opens, parseTime), o.args.value("lasts", &lasts, parseTime), o.args.rest()); err != nil {
		return nil, err
	}
	at := time.Duration(opens.low)
	x := policy.Window{
		ID: o.what, Group: group, Rule: "FREQ=DAILY", From: "2026-01-01", Zone: "UTC", Minutes: int(time.Duration(lasts.low) / time.Minute),
		At: fmt.Sprintf("%02d:%02d", int(at/time.Hour), int(at/time.Minute)%60),
	}
	if err := x.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	return func() {
		w.publish(func(m *policy.Manifest) {
			m.Windows = append(slices.DeleteFunc(m.Windows, func(y policy.Window) bool { return y.ID == x.ID }), x)
			if group != policy.GroupAll && !slices.ContainsFunc(m.Groups, func(g policy.Group) bool { return g.Name == group }) {
				m.Groups = append(m.Groups, policy.Group{Name: group})
			}
		}, nil)
	}, nil
}

// sayWindow writes a window down: when it opens each day, counted from the hour at which runs begin.
func (w *World) sayWindow(head int64, x policy.Window) {
	at, err := time.Parse("15:04", x.At)
	if err != nil {
		return // it was validated
	}
	begin := epoch0.Sub(epoch0.Truncate(24 * time.Hour))
	opens := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute - begin
	if opens < 0 {
		opens += 24 * time.Hour
	}
	w.own.say(w.now, "window").num("head", head).str("id", x.ID).str("group", x.Group).num("opens", int64(opens)).
		num("lasts", int64(time.Duration(x.Minutes)*time.Minute)).end()
}
