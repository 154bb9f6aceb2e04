package node

import (
	"context"
	"log/slog"
	"time"

	"patchmesh/node/api"
	"patchmesh/swarm"
)

// OpenOffline opens the data folder of a seed whose node is not running, for the commands that need
// no network: what they publish spreads when the node starts. Close gives the folder back.
func OpenOffline(dir string, now func() time.Time) (*Node, error) {
	f, err := openStopped(dir, now)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: Config{DataDir: dir, Now: f.now}, log: slog.New(slog.DiscardHandler), ctx: context.Background(), started: f.now(),
		dir: f, id: f.id, key: f.key, member: f.member, db: f.db, store: f.store, docs: f.docs, believer: f.believer, seed: f.seed,
	}
	if n.seed == nil {
		f.close()
		return nil, api.Errorf(api.ClassUnreachable, "no patchmesh is running on %s", dir).WithHint("start it with 'patchmesh run --data %s'", dir)
	}
	t := f.believer.current()
	n.view.Store(&swarm.View{At: f.now(), Epoch: t.Epoch(), HeadVersion: t.HeadVersion(), Stale: t.Stale(f.now())})
	return n, nil
}

// Close ends an offline node.
func (n *Node) Close() { n.dir.close() }

// IsSeed says whether a data folder holds a seed.
func IsSeed(dir string) bool { return isSeedDir(dir) }
