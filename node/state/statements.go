package state

import (
	"context"
	"database/sql/driver"
)

// keptStatements is how many prepared statements a connection keeps: more than there are texts in this package. All
// texts are constants, so what comes beyond that means that somebody builds them, and must not pile up.
const keptStatements = 128

// keeping is a connector whose connections prepare each statement once. Parsing one costs more than most of ours
// take to run.
type keeping struct{ driver.Connector }

// Connect implements driver.Connector.
func (k keeping) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &keepingConn{engineConn: c.(engineConn), kept: map[string]*statement{}}, nil
}

// engineConn is what the pools use of a connection of the engine.
type engineConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// keepingConn is one connection. A pool lets one call at a time come to it.
type keepingConn struct {
	engineConn
	kept map[string]*statement
}

// statement is a prepared one.
type statement struct {
	engineStmt
	busy bool // its rows are being read: it cannot run once more
}

type engineStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// ExecContext implements driver.ExecerContext.
func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	r, err := s.engineStmt.ExecContext(ctx, args)
	c.done(query, s, err)
	return r, err
}

// QueryContext implements driver.QueryerContext.
func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.engineStmt.QueryContext(ctx, args)
	if err != nil {
		c.done(query, s, err)
		return nil, err
	}
	return &keptRows{Rows: rows, c: c, query: query, s: s}, nil
}

// statement gives a statement that nobody uses, and takes it out of use for others until done.
func (c *keepingConn) statement(ctx context.Context, query string) (*statement, error) {
	if s := c.kept[query]; s != nil && !s.busy {
		s.busy = true
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &statement{engineStmt: prepared.(engineStmt), busy: true}, nil
}

// done keeps a statement for the next time; not one that has failed, whatever state that has left it in.
func (c *keepingConn) done(query string, s *statement, err error) {
	s.busy = false
	known := c.kept[query]
	switch {
	case err != nil:
		if known == s {
			delete(c.kept, query)
		}
	case known == s:
		return
	case known == nil && len(c.kept) < keptStatements:
		c.kept[query] = s
		return
	}
	_ = s.Close() // it repeats the error of its last run
}

// Close implements driver.Conn.
func (c *keepingConn) Close() error {
	for _, s := range c.kept {
		_ = s.Close()
	}
	clear(c.kept)
	return c.engineConn.Close()
}

// keptRows gives its statement back at its end.
type keptRows struct {
	driver.Rows
	c     *keepingConn
	query string
	s     *statement
}

// Close implements driver.Rows.
func (r *keptRows) Close() error {
	err := r.Rows.Close()
	if r.s != nil {
		r.c.done(r.query, r.s, err)
		r.s = nil
	}
	return err
}
