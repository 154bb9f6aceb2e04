package node

import (
	"cmp"
	"errors"
	"fmt"

	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/policy"
)

// usualRoom is the bound of the store where nobody sets one.
const usualRoom = "usual"

// tuneStore sets the limits of the store: those of the command line and those that are signed hold together. Nothing of
// a catalogue goes by itself, so what is signed for machines does not bound a seed, and without a word of its own only the disk does.
func (n *Node) tuneStore() {
	quota, reserve := n.cfg.StoreQuota, n.cfg.StoreReserve
	var stated map[string]policy.Effective
	if n.seed == nil {
		stated = n.statedLimits()
	} else {
		quota = cmp.Or(quota, "none")
	}
	n.store.Limit(disk.Limits{
		Quotas: rooms(quota, stated[policy.SetStoreQuota].Value), Reserves: rooms(reserve, stated[policy.SetStoreReserve].Value),
	})
}

// rooms are the bounds that hold together of a machine's own word and what is signed; empty: nothing is said.
func rooms(own, signed string) (out []disk.Room) {
	if own == "" && signed == "" {
		own = usualRoom
	}
	for _, text := range []string{own, signed} {
		for _, r := range policy.Rooms(text) {
			out = append(out, disk.Room(r))
		}
	}
	return out
}

// quotaText says that a limit stands in the way, and not the disk.
func quotaText(need, quota int64) string {
	return "the store would hold " + api.Size(need) + ", its quota is " + api.Size(quota)
}

// checkStoreLimits names what is wrong with them.
func (c *Config) checkStoreLimits() error {
	var errs []error
	for _, l := range []struct{ what, text string }{{"store quota", c.StoreQuota}, {"store reserve", c.StoreReserve}} {
		if _, err := policy.ParseRoom(cmp.Or(l.text, usualRoom)); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.what, err))
		}
	}
	return errors.Join(errs...)
}
