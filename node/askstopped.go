package node

import (
	"context"
	"time"

	"patchmesh/node/api"
)

// HoldsStopped is Holds for the data folder of a machine whose node is not running: what its last approvals say. It needs
// no network. ErrLocked while something runs there.
func HoldsStopped(ctx context.Context, dir string, q api.HoldQuery, now func() time.Time) (*api.Holds, error) {
	return askStopped(ctx, dir, now, func(n *Node) (*api.Holds, error) { return n.Holds(ctx, q) })
}

// CatalogueStopped is Catalogue for the data folder of a seed or machine whose node is not running. ErrLocked while
// something runs there.
func CatalogueStopped(ctx context.Context, dir string, q api.CatalogueQuery, now func() time.Time) (*api.Catalogue, error) {
	return askStopped(ctx, dir, now, func(n *Node) (*api.Catalogue, error) { return n.Catalogue(ctx, q) })
}

// askStopped calls f with enough of a node to answer from the documents and the database of a folder.
func askStopped[T any](ctx context.Context, dir string, now func() time.Time, f func(*Node) (*T, error)) (*T, error) {
	d, err := openStopped(dir, now)
	if err != nil {
		return nil, err
	}
	defer d.close()
	n, err := stoppedNode(ctx, dir, d)
	if err != nil {
		return nil, err
	}
	return f(n)
}
