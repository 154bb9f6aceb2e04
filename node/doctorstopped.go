package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/control"
	"patchmesh/node/inventory"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// DoctorStopped looks at the data folder of a machine whose node is not running, and with Fix mends there what can be
// proven to be safe to mend: it holds the folder's lock, so nobody else works on it. It needs no network. ErrLocked
// while something runs there. Root on the folder of another user becomes that user, for good: see standBack.
func DoctorStopped(ctx context.Context, dir string, q api.DoctorQuery, now func() time.Time) (*api.Diagnosis, error) {
	e, err := newExamination("", q, now())
	if err != nil {
		return nil, err
	}
	looked, err := e.standBack(dir)
	if err != nil {
		return nil, err
	}
	f, err := openFolder(dir, now)
	if errors.Is(err, ErrLocked) {
		return nil, err
	}
	defer func() {
		if f != nil {
			f.close()
		}
	}()
	if api.ClassOf(err) == api.ClassUsage {
		return nil, err // it belongs to no mesh
	}
	if _, perr := os.Stat(filepath.Join(dir, "state.db")); errors.Is(perr, fs.ErrPermission) {
		return nil, forbidden(dir)
	}
	// Asked for the neighbours, the way to the seed or the updates alone, it is the answer as well: nothing can be fine
	// about them while nothing runs.
	if slices.ContainsFunc([]string{api.ScopeService, api.ScopeP2P, api.ScopeWAN, api.ScopeUpdates}, e.wants) {
		e.wrong(api.ScopeService, "node", policy.ReasonAgentStopped, "no patchmesh is running on "+dir, nil, nil)
	}
	if e.wants(api.ScopeStore) && !looked && lookAtAccess(e, dir) && err != nil {
		f, err = openFolder(dir, now) // keys that others could read had been refused
	}
	if err != nil {
		e.wrong(api.ScopeStore, "data folder", policy.ReasonDiskError, err.Error(), nil, nil)
		if e.wants(api.ScopeDisk) {
			lookAtDisk(e, []volumeAt{{"disk of the data folder", dir}}, nil)
		}
		return e.end(), nil
	}
	s := stoppedLook{e: e}
	if s.n, err = stoppedNode(ctx, dir, f); err != nil {
		return nil, err
	}
	e.Machine = f.member.Name
	s.look(ctx)
	return e.end(), nil
}

// standBack has root look at the folder of another user as that user. Whatever lies there is that user's word,
// see standaside.go. Only modes and owners are root's to mend, and are looked at
// before, without following anything; looked says that they were.
func (e *examination) standBack(dir string) (looked bool, err error) {
	if _, _, is := ownerElsewhere(dir); !is {
		return false, nil
	}
	// Root's files in a folder that is none of ours are where they belong.
	if fi, err := os.Lstat(filepath.Join(dir, "state.db")); err == nil && fi.Mode().IsRegular() {
		switch {
		case e.wants(api.ScopeStore):
			lookAtAccess(e, dir)
			looked = true
		case e.q.Fix:
			handBackAll(dir)
		}
	}
	return looked, ActAsOwner(dir)
}

// handBackAll: what root has left on the folder of another user is that user's, who could else not start any more. A
// failure shows at the next look.
func handBackAll(dir string) {
	if root, err := os.OpenRoot(dir); err == nil {
		_, _ = handBack(root)
		_ = root.Close()
	}
}

// stoppedLook is the look at an opened folder.
type stoppedLook struct {
	e *examination
	n *Node // never runs
}

func (s stoppedLook) look(ctx context.Context) {
	e, n := s.e, s.n
	n.recallRun()
	n.ledger = newLedger(n)
	defer n.flushLedger()
	for _, l := range []struct {
		scope string
		look  func()
	}{
		{api.ScopeService, s.lookAtLeftovers},
		{api.ScopeTime, func() {
			lookAtTime(e, n.believer, n.cfg.Now(), siteLate(n.believer.current(), n.member))
		}},
		{api.ScopeDisk, func() { s.lookAtDisk(ctx) }},
		{api.ScopeStore, func() { s.lookAtStore(ctx) }},
		{api.ScopeUpdates, func() { s.lookAtUpdates(ctx) }},
	} {
		if e.wants(l.scope) {
			l.look()
		}
	}
}

// lookAtLeftovers looks for what a dead process has left where the next one, and people, look for a living one.
func (s stoppedLook) lookAtLeftovers() {
	s.e.fine(api.ScopeService, "lock", "no process holds the data folder: locks end with whoever had them")
	files := control.Leftovers(s.n.cfg.DataDir, s.n.cfg.Sockets)
	if len(files) == 0 {
		s.e.fine(api.ScopeService, "local sockets", "no process has left one behind")
		return
	}
	s.e.wrong(api.ScopeService, "local sockets", policy.ReasonAgentStopped,
		"nobody listens on "+strings.Join(files, " and ")+": the node there ended without closing them", nil,
		func() (string, error) { return "removed; the next run makes its own", control.Sweep(files) })
}

// lookAtDisk looks for room, and at what an interrupted install left in the work folder.
func (s stoppedLook) lookAtDisk(ctx context.Context) {
	var fix func() (string, error)
	if s.n.seed == nil {
		fix = func() (string, error) { return s.makeRoom(ctx) }
	}
	work := workDir(s.n.cfg.DataDir)
	switch bytes := folderBytes(work); {
	case bytes == 0:
	case s.e.q.Fix:
		if err := os.RemoveAll(work); err != nil { // always safe to delete
			s.e.wrong(api.ScopeDisk, "work folder", policy.ReasonDiskError, err.Error(), nil, nil)
			break
		}
		s.e.fine(api.ScopeDisk, "work folder", "nothing is left of interrupted installs")
		s.e.did("%s of interrupted installs were removed", api.Size(bytes))
	default:
		s.e.fine(api.ScopeDisk, "work folder", "%s of interrupted installs lie there; the next start removes them, or --fix", api.Size(bytes))
	}
	lookAtDisk(s.e, s.n.places(), fix)
	s.n.limitStore(nil)
	if u, err := s.n.store.Usage(); err != nil {
		s.e.wrong(api.ScopeDisk, "room for payloads", policy.ReasonDiskError, err.Error(), nil, nil)
	} else if over := u.OverBytes(); over > 0 {
		s.e.wrong(api.ScopeDisk, "room for payloads", policy.ReasonDiskShort, fmt.Sprintf("payloads take %s, %s more than they may", api.Size(u.UsedBytes), api.Size(over)),
			map[string]int64{"needed_bytes": over, "free_bytes": u.FreeBytes}, fix)
	} else {
		s.e.fine(api.ScopeDisk, "room for payloads", "payloads take %s, no more than they may", api.Size(u.UsedBytes))
	}
}

// folderBytes sums up a folder; what cannot be read counts nothing.
func folderBytes(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if fi, err := d.Info(); err == nil && fi.Mode().IsRegular() {
			sum += fi.Size()
		}
		return nil
	})
	return sum
}

// makeRoom has the core say what may go, as it does for a node that has just started: without having heard what
// neighbours need, only what no approval brings to anybody, or another update replaces, and nothing pinned. It decides
// on a copy of its state, which is thrown away.
func (s stoppedLook) makeRoom(ctx context.Context) (string, error) {
	n := s.n
	if err := n.loadPins(); err != nil {
		return "", err
	}
	n.limitStore(nil)
	usage, err := n.store.Usage()
	if err != nil {
		return "", err
	}
	free, _, err := inventory.Free(n.cfg.DataDir)
	if err != nil {
		return "", err
	}
	core, err := n.newCore()
	if err != nil {
		return "", err
	}
	checked, err := n.storeChecked(max(usage.OverBytes(), leastFree-free))
	if err != nil {
		return "", err
	}
	n.tellApprovals(ctx, core)
	var freed int64
	gone := 0
	for _, a := range slices.Clone(core.Step(n.cfg.Now(), checked)) {
		ev, ok := a.(swarm.Evict)
		if !ok {
			continue
		}
		bytes, err := n.dropStored(ev.Payload)
		if err != nil {
			return "", err
		}
		freed, gone = freed+bytes, gone+1
	}
	if gone == 0 {
		return "nothing in the store may go: all of it is still needed, pinned or kept for others", nil
	}
	return fmt.Sprintf("%d payload(s) that nobody needs are gone: %s came free", gone, api.Size(freed)), nil
}

// tellApprovals gives the core what is approved, with the descriptions that are at home. While one is missing it lets
// nothing go that it does not know.
func (n *Node) tellApprovals(ctx context.Context, core *swarm.Core) {
	t := n.believer.current()
	if t.Manifest() == nil {
		return
	}
	todo := slices.Clone(core.Step(n.cfg.Now(), n.manifestEvent(0, t)))
	for len(todo) > 0 {
		ask, ok := todo[0].(swarm.AskDescriptor)
		todo = todo[1:]
		if !ok {
			continue // a request that is never answered holds nothing up: the core ends with this look
		}
		ev, err := n.readDescriptor(ctx, ask)
		if err != nil {
			ev = docFailure(ask.Req, err)
		}
		todo = append(todo, core.Step(n.cfg.Now(), ev)...)
	}
}

// lookAtStore looks at the trusted documents, and with --fix hashes every payload.
func (s stoppedLook) lookAtStore(ctx context.Context) {
	e, n := s.e, s.n
	e.fine(api.ScopeStore, "data folder", "its database, keys and trusted documents can be read")
	if err := n.believer.missing(); err != nil {
		e.wrong(api.ScopeStore, "trusted documents", policy.ReasonTrustFloorRebuilt, err.Error(), nil, nil)
	}
	n.lookAtMaps(ctx, e)
	infos, err := n.store.List()
	if err != nil {
		e.wrong(api.ScopeStore, "payloads", policy.ReasonDiskError, err.Error(), nil, nil)
		return
	}
	if !e.q.Fix {
		e.fine(api.ScopeStore, "payloads", "%d are in the store; --fix hashes them all again", len(infos))
		return
	}
	lost := map[content.ID][]int{}
	n.limitStore(func(id content.ID, indexes []int) { lost[id] = append(lost[id], indexes...) })
	v, err := n.StoreVerify(ctx)
	for id, indexes := range lost {
		if m, err := n.store.Map(id); err == nil {
			n.ledger.damaged(id, m.Len(), indexes)
		}
	}
	if err == nil {
		err = n.store.Sync()
	}
	switch {
	case err != nil:
		e.wrong(api.ScopeStore, "payloads", policy.ReasonDiskError, err.Error(), nil, nil)
	case len(v.Damaged) > 0:
		var names []string
		for _, d := range v.Damaged {
			names = append(names, first(d.Update, d.Payload))
		}
		e.wrong(api.ScopeStore, "payloads", policy.ReasonTrustBadChunk, fmt.Sprintf("%d payloads were damaged on disk: %s", len(v.Damaged), strings.Join(names, ", ")),
			map[string]int64{"damaged_payloads": int64(len(v.Damaged))},
			func() (string, error) {
				return "the damaged chunks were put aside: they are neither served nor installed, and come anew where they are still needed once patchmesh runs", nil
			})
	default:
		e.fine(api.ScopeStore, "payloads", "all %d hashed again: whole", v.Payloads)
	}
}

// lookAtUpdates tells what stood in the way of each update when the node last ran, what the approvals of today say, and
// which installs a crash cut off.
func (s stoppedLook) lookAtUpdates(ctx context.Context) {
	e, n := s.e, s.n
	if n.seed != nil {
		return // it installs nothing itself
	}
	if err := s.lookAtJournal(ctx); err != nil {
		e.wrong(api.ScopeUpdates, "install journal", policy.ReasonDiskError, err.Error(), nil, nil)
	}
	row, err := n.savedRow()
	if err != nil {
		e.wrong(api.ScopeUpdates, "updates", policy.ReasonDiskError, err.Error(), nil, nil)
		return
	}
	for _, u := range row.Updates {
		e.judge(u, nil)
	}
}

// lookAtJournal: where another process installs, the journal is that one's, which looks at it when it starts.
func (s stoppedLook) lookAtJournal(ctx context.Context) error {
	open, err := s.n.db.JournalOpen()
	if err != nil {
		return err
	}
	for _, j := range open {
		s.e.wrong(api.ScopeUpdates, "install of "+j.Update, policy.ReasonAgentStopped, fmt.Sprintf("it was cut off at step %q on %s", j.Step, j.At.UTC().Format(time.RFC3339)), nil,
			func() (string, error) { return s.settle(ctx, j) })
		s.e.last().Heals = true // the core looks before it tries again
	}
	if len(open) == 0 {
		s.e.fine(api.ScopeUpdates, "install journal", "no install was cut off")
	}
	return nil
}

// settle ends an entry of the journal by what is really there: the machine is asked, not the journal. Nothing is
// installed or removed: whether that may be now depends on people and windows as well, which the running node asks.
func (s stoppedLook) settle(ctx context.Context, j state.JournalRow) (string, error) {
	n := s.n
	m := n.believer.current().Manifest()
	if m == nil {
		return "", errors.New("there are no approvals that could say what it was")
	}
	role := n.roleHere()
	for _, v := range policy.MakePlan(m, n.describer(), n.machineFacts(), false, n.cfg.Now()).Verdicts {
		if string(v.Update) != j.Update || v.Revision != j.Revision {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		got, err := role.Do(ctx, v.Descriptor, apply.Detect)
		if err != nil {
			return "", err
		}
		step := "cut off at " + j.Step + "; looked again: it is not on the machine"
		if got.Present {
			step = "cut off at " + j.Step + "; looked again: it is on the machine"
		}
		return api.Clean(step) + "; patchmesh goes on from there when it runs", n.db.JournalEnd(j.Update, j.Revision, step, n.cfg.Now())
	}
	return "no approval asks for it here any more, so nothing goes on with it", n.db.JournalEnd(j.Update, j.Revision, "cut off at "+j.Step+"; no approval asks for it any more", n.cfg.Now())
}
