package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// DoctorStopped looks at the data folder of a machine whose node is not running. It needs no network.
func DoctorStopped(dir string, q api.DoctorQuery, now func() time.Time) (*api.Diagnosis, error) {
	f, err := openFolder(dir, now)
	name := ""
	if err == nil {
		defer f.close()
		name = f.member.Name
		now = f.now
	}
	if errors.Is(err, ErrLocked) {
		return nil, err
	}
	e, qerr := newExamination(name, q, now())
	if qerr != nil {
		return nil, qerr
	}
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
	if err != nil {
		e.wrong(api.ScopeStore, "data folder", policy.ReasonDiskError, err.Error(), nil, nil)
	} else {
		if e.wants(api.ScopeStore) {
			e.fine(api.ScopeStore, "data folder", "its database, keys and trusted documents can be read")
		}
		if e.wants(api.ScopeTime) {
			lookAtTime(e, f.believer, f.now(), siteLate(f.believer.current(), f.member))
		}
	}
	if err == nil && e.wants(api.ScopeUpdates) {
		if err := lookAtSaved(e, dir, f); err != nil {
			e.wrong(api.ScopeUpdates, "updates", policy.ReasonDiskError, err.Error(), nil, nil)
		}
	}
	if e.wants(api.ScopeDisk) {
		lookAtDisk(e, dir, "", nil)
	}
	return e.end(), nil
}

// lookAtSaved tells what stood in the way of each update when the node last ran, and what the approvals of today say.
func lookAtSaved(e *examination, dir string, f *folder) error {
	if f.seed != nil {
		return nil // it installs nothing itself
	}
	n, err := stoppedNode(context.Background(), dir, f)
	if err != nil {
		return err
	}
	row, err := n.savedRow()
	if err != nil {
		return err
	}
	for _, u := range row.Updates {
		e.judge(u, nil)
	}
	return nil
}
