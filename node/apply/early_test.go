package apply

import (
	"context"
	"errors"
	"testing"

	"patchmesh/content"
	"patchmesh/policy"
)

// A copy takes room: nothing is copied that the role's own documents do not have installed here now.
func TestOnlyWhatIsApprovedIsCopiedEarly(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	base := o.approveSo("base", func(*policy.Descriptor) {})
	top := o.approveSo("top", func(d *policy.Descriptor) { d.Prerequisites = []policy.UpdateID{"base"} })
	c, ctx := NewClient(p.sock, o), context.Background()
	if _, err := c.Do(ctx, base, Detect); err != nil {
		t.Fatal(err)
	}
	if err := p.role.CopyEarly(ctx, base); err != nil {
		t.Fatalf("a role that copies nothing early: %v", err)
	}
	var copied []policy.UpdateID
	full := errors.New("disk full")
	p.role.cfg.Early = func(_ context.Context, d *policy.Descriptor) error {
		copied = append(copied, d.Update)
		return full
	}
	for what, id := range map[string]content.ID{"what needs another one first": top, "what nobody approved": content.Sum([]byte("x"))} {
		var e *Error
		if err := p.role.CopyEarly(ctx, id); !errors.As(err, &e) || len(copied) > 0 {
			t.Errorf("%s: %v, copied %v", what, err, copied)
		}
	}
	if err := p.role.CopyEarly(ctx, base); !errors.Is(err, full) || len(copied) != 1 {
		t.Errorf("%v, copied %v", err, copied)
	}
	if p.hands.installs != 0 {
		t.Error("a copy alone has installed something")
	}
}
