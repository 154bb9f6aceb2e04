package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"patchmesh/policy"
)

// localPolicy is the machine's own file, policy.json in the data folder. It may only be stricter than what
// is signed, so a broken one must not loosen anything: then its machine changes nothing until it is mended.
type localPolicy struct {
	Settings map[string]string `json:"settings"`
	Hold     []string          `json:"hold"` // patterns of updates, as path.Match reads them
}

// Limits of the file.
const (
	localPolicyFile     = "policy.json"
	maxLocalPolicyBytes = 64 << 10
	maxLocalHolds       = 1000
)

// readLocalPolicy reads the file; without one nothing is said. One that cannot be read holds everything, see
// policy.Machine.LocalTrouble.
func readLocalPolicy(dataDir string) (p localPolicy, there bool, err error) {
	f, err := os.Open(filepath.Join(dataDir, localPolicyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return localPolicy{}, false, nil
	}
	if err == nil {
		defer f.Close()
		p, err = parseLocalPolicy(f)
	}
	if err != nil {
		return localPolicy{}, true, fmt.Errorf("%s: %w", localPolicyFile, err)
	}
	return p, true, nil
}

func parseLocalPolicy(r io.Reader) (localPolicy, error) {
	var p localPolicy
	b, err := io.ReadAll(io.LimitReader(r, maxLocalPolicyBytes+1))
	if err != nil {
		return p, err
	}
	if len(b) > maxLocalPolicyBytes {
		return p, fmt.Errorf("larger than %d bytes", maxLocalPolicyBytes)
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("there is something behind it")
	}
	if len(p.Hold) > maxLocalHolds {
		return p, fmt.Errorf("holds %d patterns, at most %d", len(p.Hold), maxLocalHolds)
	}
	for _, h := range p.Hold {
		if _, err := path.Match(h, ""); err != nil {
			return p, fmt.Errorf("pattern %q: %w", h, err)
		}
	}
	for name, value := range p.Settings {
		own := policy.Setting{Name: name, Group: policy.GroupAll, Value: value}.Plain()
		if err := own.ValidateStated(); err != nil {
			return p, err
		}
		p.Settings[name] = own.Value
	}
	return p, nil
}

func (p localPolicy) equal(o localPolicy) bool {
	if len(p.Settings) != len(o.Settings) || !slices.Equal(p.Hold, o.Hold) {
		return false
	}
	for k, v := range p.Settings {
		if o.Settings[k] != v {
			return false
		}
	}
	return true
}
