package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/inventory"
	"patchmesh/policy"
)

// applyStock is what the apply process finds out about the machine by itself: the net process, which may be in
// somebody else's hands, must not choose the machine's groups. It looks again when packages have changed.
type applyStock struct {
	cfg ApplyConfig

	mu    sync.Mutex
	inv   *policy.Inventory
	stamp string
	at    time.Time
}

// applyStockFor is how long a look is good for where no package database has changed.
const applyStockFor = time.Hour

func newApplyStock(cfg ApplyConfig) *applyStock { return &applyStock{cfg: cfg} }

func (s *applyStock) known() (*policy.Inventory, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, stamp := time.Now(), inventory.Stamp(s.cfg.Root)
	if s.inv == nil || stamp != s.stamp || now.Sub(s.at) > applyStockFor || now.Before(s.at) {
		s.inv = collectStock(context.Background(), inventory.Question{Root: s.cfg.Root, DataDir: s.cfg.StateDir, Agent: s.cfg.Version, Now: now})
		s.stamp, s.at = stamp, now
	}
	claims, err := readClaims(s.cfg.StateDir)
	if err != nil {
		s.cfg.Log.Warn("the groups that this machine has joined cannot be read; none counts", "err", err)
	}
	return s.inv, claims
}

// claimsFile holds the groups that the machine's administrator has joined it to.
const claimsFile = "groups.json"

func readClaims(stateDir string) ([]string, error) {
	f, err := os.Open(filepath.Join(stateDir, claimsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, err
	}
	var claims []string
	if err := json.Unmarshal(b, &claims); err != nil {
		return nil, fmt.Errorf("%s: %w", claimsFile, err)
	}
	if len(claims) > maxClaims || slices.ContainsFunc(claims, func(c string) bool { return !policy.ValidName(c) }) {
		return nil, fmt.Errorf("%s: %w", claimsFile, policy.ErrFormat)
	}
	return claims, nil
}

// ClaimForApply tells the apply role of a machine which groups it has joined. Its folder belongs to root, and so
// does this word; a folder that was never prepared is left alone.
func ClaimForApply(stateDir string, claims []string) (told bool, err error) {
	if !ApplyPrepared(stateDir) {
		return false, nil
	}
	if err := apply.Private(stateDir); err != nil {
		return false, api.Errorf(api.ClassFailed, "state folder of the apply role: %v", err).WithHint("it must belong to this user alone")
	}
	b, err := json.Marshal(nonNil(claims))
	if err != nil {
		return false, err
	}
	if err := replaceFile(filepath.Join(stateDir, claimsFile), b); err != nil {
		return false, fmt.Errorf("tell the apply role: %w", err)
	}
	return true, nil
}
