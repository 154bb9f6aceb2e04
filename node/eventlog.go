package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/swarm"
)

// diary is the machine's own event log: what the core notes and what is refused, kept in the data folder so that it
// can be read after the log of the service manager has been rotated away, and without one. It is
// written every few seconds; what one strange peer causes is merged (see refuse) and bounded by kind.
type diary struct {
	mu      sync.Mutex
	waiting []state.EventRow
	lost    int // did not fit since the last flush
}

// maxWaiting bounds what is noted between two flushes.
const maxWaiting = 512

// eventKinds are the kinds that there are.
func eventKinds() []string {
	return []string{
		string(swarm.NoteGate), string(swarm.NoteLease), string(swarm.NoteLink), string(swarm.NoteNews), string(swarm.NoteRefused),
		string(swarm.NoteStore), string(swarm.NoteTask), api.EventStarted, api.EventStopped, api.EventWish, api.EventCarried, api.EventHalt, api.EventDraft, api.EventInstaller,
	}
}

func (d *diary) add(e state.EventRow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) >= maxWaiting {
		d.lost++
		return
	}
	d.waiting = append(d.waiting, e)
}

// flush writes what waits. What could not be written waits on.
func (d *diary) flush(db *state.DB) error {
	d.mu.Lock()
	list, lost := d.waiting, d.lost
	d.waiting, d.lost = nil, 0
	d.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	if lost > 0 {
		list[len(list)-1].Detail += fmt.Sprintf(" (and %d more events at this time that were not kept)", lost)
	}
	if err := db.AddEvents(list); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.waiting = append(list, d.waiting...)[:min(len(list)+len(d.waiting), maxWaiting)]
		return err
	}
	return nil
}

// eventOf is the row of a note.
func eventOf(a swarm.Note) state.EventRow {
	e := state.EventRow{Kind: string(a.Kind), Update: string(a.Update), Reason: string(a.Reason), Peer: string(a.Peer), Detail: api.Clean(a.Text)}
	if a.State != 0 {
		e.State = a.State.String()
	}
	return e
}

// record notes that something happened just now.
func (n *Node) record(e state.EventRow) {
	e.At = n.cfg.Now()
	n.diary.add(e)
}

func (n *Node) flushEvents() {
	if err := n.diary.flush(n.db); err != nil {
		n.log.Warn("the event log was not written; it is tried again", "err", err)
	}
}

// Events implements api.EventLogger.
func (n *Node) Events(_ context.Context, q api.EventQuery) (*api.EventLog, error) {
	n.flushEvents()
	return readEvents(n.db, q, n.member.Name, n.cfg.Now())
}

// ReadEvents is Events of a data folder whose node is not running. ErrLocked if it is.
func ReadEvents(dir string, q api.EventQuery, now func() time.Time) (*api.EventLog, error) {
	f, err := openStopped(dir, now)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return readEvents(f.db, q, f.member.Name, f.now())
}

func readEvents(db *state.DB, q api.EventQuery, machine string, now time.Time) (*api.EventLog, error) {
	if q.Kind != "" && !slices.Contains(eventKinds(), q.Kind) {
		return nil, api.Errorf(api.ClassUsage, "there is no kind of events %q", api.Clean(q.Kind)).WithHint("kinds are %s", strings.Join(eventKinds(), ", "))
	}
	if q.Limit < 0 {
		return nil, api.Errorf(api.ClassUsage, "%d events cannot be shown", q.Limit)
	}
	if q.Limit == 0 || q.Limit > api.MaxEvents {
		q.Limit = api.MaxEvents
	}
	list, err := db.Events(state.EventFilter{Since: q.Since, Kind: q.Kind, Update: q.Update, Limit: q.Limit + 1})
	if err != nil {
		return nil, err
	}
	l := &api.EventLog{AsOf: now.UTC(), Machine: machine, Events: []api.Event{}, More: len(list) > q.Limit}
	list = list[:min(len(list), q.Limit)]
	slices.Reverse(list)
	for _, e := range list {
		l.Events = append(l.Events, api.Event{
			At: e.At.UTC(), Kind: e.Kind, Update: e.Update, State: e.State, Reason: e.Reason, Peer: e.Peer, Detail: e.Detail,
		})
	}
	return l, nil
}
