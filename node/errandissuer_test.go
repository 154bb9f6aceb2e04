package node

import (
	"context"
	"errors"
	"testing"

	"patchmesh/node/api"
	"patchmesh/node/enrol"
)

// After a theft of the issuer's key the next stick brings its withdrawal and new memberships together: what the
// thief signs does not live on because of the site's budget, and the site stays whole.
func TestWithdrawnIssuerOnTheStickWinsOverTheBudget(t *testing.T) {
	r := newRound(t)
	r.approveAny()
	a := r.at("a", "north")
	b := r.at("b", "north", a.addr)
	r.budget("north", 60)
	r.outgoing("north")
	r.visit(a)
	r.home()
	until(t, "b to know of the budget", func() bool { return b.believer.current().Roster().SiteStale("north") > 0 })
	r.clock.forward(12 * days) // both certificates have ended, and count
	until(t, "the site to be together", func() bool { return a.sees(b.id) })
	stolen := b.hello().Cert
	if _, err := a.checkCert(b.id, stolen); err != nil {
		t.Fatalf("within the budget: %v", err)
	}
	if _, err := r.seed.ChangeEnrolKeys(context.Background(), api.EnrolKeyChange{Rotate: true, Withdraw: true}); err != nil {
		t.Fatal(err)
	}
	r.outgoing("north")
	r.visit(a)
	until(t, "the signatures of the key of before to count no more", func() bool {
		_, err := a.checkCert(b.id, stolen)
		return errors.Is(err, enrol.ErrUntrustedIssuer)
	})
	now := a.cfg.Now()
	until(t, "both to be members by the new key, and together", func() bool {
		return a.ends(t).After(now) && b.ends(t).After(now) && a.sees(b.id) && b.sees(a.id)
	})
	if _, err := a.checkCert(b.id, b.hello().Cert); err != nil {
		t.Errorf("the new membership of b: %v", err)
	}
}
