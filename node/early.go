package node

import (
	"context"
	"io"

	"patchmesh/content"
	"patchmesh/policy"
)

// earlyCopy is the copy that the apply role makes of a payload while it comes; the loop owns it.
type earlyCopy struct {
	stop context.CancelFunc
	done chan struct{}
}

// copyEarly has an update copied while its payload comes, and no other any more; the zero ID: none.
func (n *Node) copyEarly(ctx context.Context, id content.ID) {
	before := n.copying
	if before.stop != nil {
		before.stop()
	}
	n.copying = earlyCopy{}
	if id.IsZero() {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	n.copying = earlyCopy{stop, make(chan struct{})}
	done := n.copying.done
	n.work(func() {
		defer close(done)
		defer stop()
		if before.done != nil {
			<-before.done // its file is closed then
		}
		if err := n.orders.CopyEarly(ctx, id); err != nil && ctx.Err() == nil {
			n.log.Debug("payload not copied while it comes; its install copies it", "descriptor", id.Short(), "err", err)
		}
	})
}

// early lets the apply role in this process read a payload while it comes.
func (n *Node) early(h hands) func(context.Context, *policy.Descriptor) error {
	n.copies = h.early
	n.copies.Claims = n.earlyClaims
	return func(ctx context.Context, d *policy.Descriptor) error {
		return h.CopyEarly(ctx, d, func(ctx context.Context) (io.ReadCloser, error) { return n.followCopy(ctx, d) })
	}
}

// earlyClaims is the room that an early copy leaves alone: what payloads that have begun still need, and the most of
// what is kept free on this machine. What begins later has the copy given up if it needs the room (GiveUp).
func (n *Node) earlyClaims() (int64, error) {
	u, err := n.store.Usage()
	return u.LackedBytes + max(u.ReserveBytes, n.limits.gates().FreeBytes), err
}
