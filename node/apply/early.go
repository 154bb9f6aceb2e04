package apply

import (
	"context"

	"patchmesh/content"
)

// CopyEarly copies the payload of an update that is to be installed as soon as it is here, while it still comes. Nothing
// is decided by it: the install looks the approvals up again, and takes the copy only if its hash is the signed one.
// What is not approved for this machine now is not copied either, since a copy takes room. It returns when the copy
// was taken, or ctx has ended.
func (r *Role) CopyEarly(ctx context.Context, id content.ID) error {
	if r.cfg.Early == nil {
		return nil
	}
	d, err := r.approved(id, Install)
	if err == nil {
		err = r.cfg.Early(ctx, d)
	}
	if err != nil {
		return asError("copy early", err)
	}
	return nil
}

// CopyEarly implements the same for a role in another process: it copies nothing early. The payload goes there once it
// is whole.
func (*Client) CopyEarly(context.Context, content.ID) error { return nil }
