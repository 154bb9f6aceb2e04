package node

import (
	"context"
	"io"
	"time"

	"patchmesh/node/api"
)

// Cargo implements api.Carrier.
func (n *Node) Cargo(_ context.Context, q api.CargoQuery) (*api.Cargo, error) {
	return n.carrier().cargo(q)
}

// GiveDocs implements api.Carrier.
func (n *Node) GiveDocs(_ context.Context, q api.DocQuery) (*api.CargoDocs, error) {
	return n.carrier().giveDocs(q)
}

// GiveChunks implements api.Carrier.
func (n *Node) GiveChunks(ctx context.Context, q api.ChunkQuery, w io.Writer) error {
	return n.carrier().giveChunks(ctx, q, w)
}

// TakeDocs implements api.Carrier.
func (n *Node) TakeDocs(_ context.Context, d api.CargoDocs) (*api.TakenDocs, error) {
	return n.carrier().takeDocs(d)
}

// TakeChunks implements api.Carrier.
func (n *Node) TakeChunks(ctx context.Context, r io.Reader) (*api.TakenChunks, error) {
	return n.carrier().takeChunks(ctx, r)
}

// GiveReturn implements api.Carrier.
func (n *Node) GiveReturn(ctx context.Context) (*api.Return, error) {
	return n.carrier().giveReturn(ctx)
}

// GiveAnswers implements api.Carrier.
func (n *Node) GiveAnswers(_ context.Context, q api.CargoQuery) ([]byte, error) {
	return n.carrier().giveAnswers(q)
}

// TakeAnswers implements api.Carrier.
func (n *Node) TakeAnswers(_ context.Context, list []byte) (*api.TakenAnswers, error) {
	return n.carrier().takeAnswers(list)
}

// GiveAnswers implements api.Carrier.
func (s stopped) GiveAnswers(_ context.Context, q api.CargoQuery) ([]byte, error) {
	return s.carrier().giveAnswers(q)
}

// TakeAnswers implements api.Carrier.
func (s stopped) TakeAnswers(_ context.Context, list []byte) (*api.TakenAnswers, error) {
	return s.carrier().takeAnswers(list)
}

// LastHave implements api.Carrier.
func (n *Node) LastHave(_ context.Context, q api.CargoQuery) ([]byte, error) {
	return n.carrier().lastHave(q)
}

// LastHave implements api.Carrier.
func (s stopped) LastHave(_ context.Context, q api.CargoQuery) ([]byte, error) {
	return s.carrier().lastHave(q)
}

// TakeReturn implements api.Carrier.
func (n *Node) TakeReturn(_ context.Context, r api.Return) (*api.TakenReturn, error) {
	return onSeed(n.seed, func(s *seed) (*api.TakenReturn, error) { return s.takeReturn(r) })
}

var (
	_ api.Carrier = (*Node)(nil)
	_ api.Carrier = stopped{}
)

func (s stopped) carrier() *carrier {
	books := newLedger(&Node{cfg: Config{Now: s.now}, id: s.id, db: s.db, docs: s.docs, believer: s.believer, seed: s.seed, member: s.member})
	own := newReceipts(s.db, s.key, s.id, s.docs, s.now, s.seed != nil)
	books.receipts = own.book
	return &carrier{
		db: s.db, store: s.store, docs: s.docs, believer: s.believer, seed: s.seed, member: s.member, id: s.id, key: s.key, now: s.now, books: books, receipts: own,
	}
}

// Cargo implements api.Carrier.
func (s stopped) Cargo(_ context.Context, q api.CargoQuery) (*api.Cargo, error) {
	return s.carrier().cargo(q)
}

// GiveDocs implements api.Carrier.
func (s stopped) GiveDocs(_ context.Context, q api.DocQuery) (*api.CargoDocs, error) {
	return s.carrier().giveDocs(q)
}

// GiveChunks implements api.Carrier.
func (s stopped) GiveChunks(ctx context.Context, q api.ChunkQuery, w io.Writer) error {
	return s.carrier().giveChunks(ctx, q, w)
}

// TakeDocs implements api.Carrier.
func (s stopped) TakeDocs(_ context.Context, d api.CargoDocs) (*api.TakenDocs, error) {
	return s.carrier().takeDocs(d)
}

// TakeChunks implements api.Carrier.
func (s stopped) TakeChunks(ctx context.Context, r io.Reader) (*api.TakenChunks, error) {
	return s.carrier().takeChunks(ctx, r)
}

// GiveReturn implements api.Carrier.
func (s stopped) GiveReturn(ctx context.Context) (*api.Return, error) {
	return s.carrier().giveReturn(ctx)
}

// TakeReturn implements api.Carrier.
func (s stopped) TakeReturn(_ context.Context, r api.Return) (*api.TakenReturn, error) {
	return onSeed(s.seed, func(d *seed) (*api.TakenReturn, error) { return d.takeReturn(r) })
}

// WithCarrier calls f with a data folder whose node is not running. ErrLocked if it is.
func WithCarrier(dir string, now func() time.Time, f func(api.Carrier) error) error {
	d, err := openStopped(dir, now)
	if err != nil {
		return err
	}
	defer d.close()
	return f(stopped{d})
}

// IsSeedCarrier says whether a carrier is a seed: then what lies on a medium goes the other way.
func IsSeedCarrier(ctx context.Context, c api.Carrier) (bool, error) {
	if n, ok := c.(*Node); ok {
		return n.seed != nil, nil
	}
	if s, ok := c.(stopped); ok {
		return s.seed != nil, nil
	}
	s, ok := c.(api.Service)
	if !ok {
		return false, nil
	}
	i, err := s.Node(ctx)
	if err != nil {
		return false, err
	}
	return i.Seed, nil
}
