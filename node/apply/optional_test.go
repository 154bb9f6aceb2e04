package apply

import (
	"context"
	"testing"

	"patchmesh/policy"
)

// R-B1: the order to install what approvers offer is carried out, and it is an order about this one update: neither is
// another offer taken for accepted along with it, nor can any other word install what is not offered here.
func TestRB1TheRoleInstallsOnlyTheOfferThatIsOrdered(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	c := NewClient(p.sock, o)
	required := o.approve("old", []byte("old"), "office", policy.ActionInstall)
	offered := o.update("new", []byte("new"))
	d, err := policy.DecodeDescriptor(o.docs[offered])
	if err != nil {
		t.Fatal(err)
	}
	d.Supersedes = []policy.UpdateID{"old"}
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	offered = d.ID()
	o.docs[offered], o.loads[offered] = b, []byte("new")
	o.publish(func(m *policy.Manifest) {
		m.Approvals = append(m.Approvals, o.approval(offered, "office", policy.ActionOptional))
	})
	elsewhere := o.approve("lab-tool", []byte("lab"), "lab", policy.ActionOptional)
	looked := o.approve("looked", []byte("looked"), "office", policy.ActionDetectOnly)
	ctx := context.Background()
	if _, err := c.Do(ctx, required, Install); err != nil {
		t.Errorf("an offer that nobody took stands in the way of what is required: %v", err)
	}
	for name, id := range map[string]policy.UpdateID{"of another group": "lab-tool", "only looked for": "looked"} {
		order := elsewhere
		if id == "looked" {
			order = looked
		}
		if _, err := c.Do(ctx, order, Install); err == nil || p.hands.installed[id] != nil {
			t.Errorf("%s: installed, %v", name, err)
		}
	}
	if _, err := c.Do(ctx, offered, Remove); err == nil {
		t.Error("an offer was taken off")
	}
	if _, err := c.Do(ctx, offered, Install); err != nil || string(p.hands.installed["new"]) != "new" {
		t.Errorf("the offer: %v", err)
	}
	o.publish(func(m *policy.Manifest) {
		m.Holds = append(m.Holds, policy.Hold{ID: "h", Update: "new", Kind: "pause", Reason: "r", At: o.now})
	})
	before := p.hands.changes()
	if _, err := c.Do(ctx, offered, Install); err == nil || p.hands.changes() != before {
		t.Errorf("under a hold: %v", err)
	}
}
