package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
)

// TrustState implements api.Service.
func (n *Node) TrustState(context.Context) (*api.TrustState, error) {
	v := viewTrust(n.believer.current(), n.dir.dir, n.cfg.Now())
	if b, err := n.db.Value(rootKey(1)); err == nil {
		v.Fingerprint = content.Sum(b).String()
	}
	return v, nil
}

// ReadTrustState is TrustState of a data folder whose node is not running, a seed's or not. It only reads
// the trust folder: it takes no lock, writes nothing, and so may be asked at any moment. The fingerprint
// is known while the first root is in force.
func ReadTrustState(dir string, wall func() time.Time) (*api.TrustState, error) {
	if err := ActAsOwner(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "trust")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, notAMember(dir)
	} else if errors.Is(err, fs.ErrPermission) {
		return nil, forbidden(dir)
	} else if err != nil {
		return nil, err
	}
	r, err := trustdir.Look(path).Recall()
	if errors.Is(err, fs.ErrPermission) {
		return nil, forbidden(dir)
	}
	if err != nil {
		return nil, trustTrouble(dir, err)
	}
	clock := newTrustClock(wall, r.Clock)
	clock.learn(r.Trust)
	v := viewTrust(r.Trust, dir, clock.now())
	if r.Lost != nil {
		v.Warnings = append(v.Warnings, "damaged on disk, until the mesh has shown what is in force: "+r.Lost.Error())
	}
	return v, nil
}

// viewTrust is a trust for people; dir is the data folder, whose private keys are named.
func viewTrust(t *policy.Trust, dir string, now time.Time) *api.TrustState {
	v := &api.TrustState{Org: t.Org(), Epoch: t.Epoch(), Head: t.HeadVersion(), AsOf: now.UTC(), Stale: t.Stale(now), Roles: []api.TrustRole{}, Warnings: []string{}}
	if t.RootVersion() == 1 {
		v.Fingerprint = content.Sum(t.Files().Root).String()
	}
	here := keysHere(dir)
	for _, r := range t.RootRoles() {
		v.Roles = append(v.Roles, api.TrustRole{Name: r.Name, Keys: nonNil(r.Keys), Threshold: r.Threshold, Version: r.Version, ExpiresAt: r.ExpiresAt})
	}
	if m := t.Manifest(); m != nil {
		v.Roles[1].IssuedAt = m.IssuedAt
	}
	v.Roles[2].IssuedAt = t.Roster().IssuedAt
	for _, r := range t.Roles() {
		row := api.TrustRole{
			Name: r.Role, Delegated: true, Keys: nonNil(r.KeyIDs), Threshold: r.Threshold, Version: int64(r.Serial), ExpiresAt: r.ExpiresAt,
			Groups: r.Groups, Actions: r.Actions,
		}
		if r.Document != nil {
			row.IssuedAt = r.Document.IssuedAt
		}
		if r.Refused != nil {
			row.Refused = r.Refused.Error()
		}
		v.Roles = append(v.Roles, row)
	}
	for i := range v.Roles {
		for _, id := range v.Roles[i].Keys {
			if here[id] != "" {
				v.Roles[i].Here = append(v.Roles[i].Here, here[id])
			}
		}
	}
	if c := t.Roster().Log; c != nil {
		v.LogEntries, v.LogHead = c.Entries, c.Head
	}
	v.Warnings = trustWarnings(v, now)
	return v
}
