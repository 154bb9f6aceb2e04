package control

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// As many updates as may be approved together have room in one request, whatever they are called; other requests are as
// small as ever.
func TestAsManyUpdatesAsMayBeApprovedTogetherCanBeAskedFor(t *testing.T) {
	c := serve(t, t.TempDir(), &fake{})
	r := api.ApproveRequest{Update: "first", Group: "all"}
	for i := range api.MaxAlso {
		r.Also = append(r.Also, api.Revised{Update: fmt.Sprintf("%0128d", i), Revision: 1 << 40})
	}
	if p, err := c.Approve(context.Background(), r); err != nil || p.Summary != "first" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := c.Hold(context.Background(), api.HoldRequest{Update: "first", Reason: strings.Repeat("x", maxBody)}); err == nil {
		t.Error("a hold of a megabyte was taken")
	}
}
