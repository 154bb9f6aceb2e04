package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// Founding an organisation whose keys are elsewhere: init makes the seed's own keys and the first
// root, which travels to the holders of root keys and back; then the first manifest, which is empty,
// travels to the approvers and back. Only then is the folder a seed's.

const (
	foundingKey   = "founding"
	firstRootFile = "patchmesh-root-1.json"
	firstDraft    = "patchmesh-draft-main-1.json"
)

// founding is what waits in the data folder between the steps.
type founding struct {
	Request  FoundRequest `json:"request"`  // without its passphrase
	Unsigned []byte       `json:"unsigned"` // the root as it was made here
	Root     []byte       `json:"root"`     // complete; nil: still being signed
}

func namePEMs(texts []string) ([]policy.Signer, error) {
	var out []policy.Signer
	for _, text := range texts {
		k, err := namePEM(text)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// beginCeremony makes the first root and signs it with what was made here.
func (f *folder) beginCeremony(r FoundRequest, made madeRoles, now func() time.Time) (*Founded, error) {
	root, err := policy.FirstRoot(r.Org, made.roles, now())
	if err != nil {
		return nil, api.Errorf(api.ClassUsage, "these keys make no root: %v", err)
	}
	passphrase := r.Passphrase
	r.Passphrase, r.Out = "", first(r.Out, r.DataDir)
	w := founding{Request: r, Unsigned: root}
	if err := f.saveFounding(w); err != nil {
		return nil, err
	}
	if len(r.RootKeys) == 0 {
		if root, err = policy.SignRoot(root, made.roles.Root[0]); err != nil {
			return nil, err
		}
	}
	return f.takeFirstRoot(w, root, passphrase, now)
}

func (f *folder) saveFounding(w founding) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return f.db.PutValue(foundingKey, b)
}

// takeFirstRoot goes on once enough root keys have signed; else it says who is missing.
func (f *folder) takeFirstRoot(w founding, root []byte, passphrase api.Secret, now func() time.Time) (*Founded, error) {
	st, err := policy.FirstRootStatus(root)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "the first root does not hold: %v", err)
	}
	if !st.Complete {
		path := filepath.Join(w.Request.Out, firstRootFile)
		if err := replaceFile(path, root); err != nil {
			return nil, err
		}
		return f.waits(w, path, st.Missing, fmt.Sprintf("%d of these root keys must sign: 'patchmesh root sign %s --key FILE'; then 'patchmesh init %s --data %s'",
			st.NewNeed-st.NewMade, path, path, w.Request.DataDir)), nil
	}
	w.Root = root
	if err := f.saveFounding(w); err != nil {
		return nil, err
	}
	t, err := policy.NewTrust(root)
	if err != nil {
		return nil, err
	}
	online, err := openOnline(f.dir, nil)
	if err != nil {
		return nil, err
	}
	d, err := policy.FirstDraft(t, online, now())
	if err != nil {
		return nil, err
	}
	return f.takeFirstDraft(w, t, d, passphrase, now)
}

// takeFirstDraft founds the organisation once enough approvers have signed; else it says who is missing.
func (f *folder) takeFirstDraft(w founding, t *policy.Trust, d *policy.Draft, passphrase api.Secret, now func() time.Time) (*Founded, error) {
	s := seed{dir: f.dir}
	if err := s.signWithKeysHere(t, d, passphrase); err != nil {
		return nil, err
	}
	made, need, missing := d.Status(t)
	if made < need {
		b, err := policy.NewParcel(t, d, [][]byte{w.Root}, [][]byte{}, nil)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(w.Request.Out, firstDraft)
		if err := replaceFile(path, b); err != nil {
			return nil, err
		}
		out := f.waits(w, path, missing, fmt.Sprintf("%d of these approver keys must sign: 'patchmesh sign %s --key FILE --root %s'; then 'patchmesh init %s --data %s'",
			need-made, path, content.Sum(w.Root), path, w.Request.DataDir))
		out.Fingerprint = content.Sum(w.Root).String()
		return out, nil
	}
	online, err := openOnline(f.dir, nil)
	if err != nil {
		return nil, err
	}
	kd := filepath.Join(f.dir, "keys")
	enrolment, err := keys.OpenRole(kd, roleEnrol, "")
	if err != nil {
		return nil, err
	}
	gossip, err := keys.OpenRole(kd, roleGossip, "")
	if err != nil {
		return nil, err
	}
	r := w.Request
	keysHere := madeRoles{enrol: enrolment, gossip: gossip}
	roster, err := firstRoster(r, f.id, keysHere, now())
	if err != nil {
		return nil, err
	}
	files, err := t.Publish(d, roster, online, now())
	if err != nil {
		return nil, fmt.Errorf("first documents: %w", err)
	}
	out, err := f.settle(r, keysHere, files, now)
	if err != nil {
		return nil, err
	}
	out.Encrypted = true // keys made elsewhere are their holders' to guard
	return out, f.db.DropValue(foundingKey)
}

func (f *folder) waits(w founding, path string, missing []string, next string) *Founded {
	return &Founded{
		Org: w.Request.Org, Threshold: w.Request.Threshold, Keys: max(w.Request.Threshold, len(w.Request.Approvers)), SeedID: f.id, Encrypted: true,
		DataDir: w.Request.DataDir, Waits: path, Missing: missing, Next: next,
	}
}

// ContinueFound takes a file that came back with signatures: the first root, or the first draft.
func ContinueFound(dataDir, path string, passphrase api.Secret, now func() time.Time) (*Founded, error) {
	b, err := readFileLimited(path, policy.MaxParcelBytes)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dataDir, "state.db")); err != nil {
		return nil, api.Errorf(api.ClassNotFound, "no organisation is being founded in %s", dataDir).WithHint("begin with 'patchmesh init --org NAME'")
	}
	f, err := newFolder(dataDir, now)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var w founding
	v, err := f.db.Value(foundingKey)
	if errors.Is(err, state.ErrNotFound) {
		return nil, api.Errorf(api.ClassNotFound, "no organisation is being founded in %s", dataDir).WithHint("begin with 'patchmesh init --org NAME'")
	}
	if err == nil {
		err = json.Unmarshal(v, &w)
	}
	if err != nil {
		return nil, err
	}
	if w.Root == nil {
		return f.continueRoot(w, b, passphrase, now)
	}
	t, err := policy.NewTrust(w.Root)
	if err != nil {
		return nil, err
	}
	p, err := policy.DecodeParcel(b)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s is not the first draft: %v", path, err)
	}
	o, err := p.Open(t, now())
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s is not the first draft: %v", path, err)
	}
	return f.takeFirstDraft(w, t, o.Draft, passphrase, now)
}

// continueRoot takes signatures only under the very root that was made here: the file has been in
// other hands.
func (f *folder) continueRoot(w founding, b []byte, passphrase api.Secret, now func() time.Time) (*Founded, error) {
	same, err := policy.SameRoot(w.Unsigned, b)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "this is not the first root: %v", err)
	}
	if !same {
		return nil, api.Errorf(api.ClassRefused, "this is not the root that was made here").WithHint("somebody has changed it on its way; do not use the file")
	}
	return f.takeFirstRoot(w, b, passphrase, now)
}
