//go:build !linux && !windows

package inventory

import (
	"context"

	"patchmesh/policy"
)

// systemFacts: this system tells its version and hardware through frameworks that need cgo, or by tools.
func (q Question) systemFacts(*policy.Inventory) {}

func (q Question) programs(context.Context) ([]policy.Package, error) { return nil, errNoSystem }
