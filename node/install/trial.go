package install

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/content/durable"
)

// trial is an install whose health probe has not spoken yet. It lies in a file from before the install
// until the probe has held or the rollback is over, so that a crash in between cannot make an update
// pass that was never probed.
type trial struct {
	Update   string `json:"update"`
	Revision int    `json:"revision"`
	Before   string `json:"before"`           // version that was there; empty: none
	Failed   string `json:"failed,omitempty"` // why it is being rolled back; empty: it is not
}

const maxTrialBytes = 64 << 10

func (j Job) trialFile() string {
	sum := sha256.Sum256([]byte(j.Spec.Update))
	return filepath.Join(j.Keep, "trial-"+hex.EncodeToString(sum[:12])+".json")
}

// openTrial reads the trial of the update, if one is open. One of another revision says nothing about
// this one: it is begun anew, and what is there then is what a rollback brings back.
func (j Job) openTrial() (t trial, open bool) {
	if j.Keep == "" {
		return trial{}, false
	}
	f, err := os.Open(j.trialFile())
	if err != nil {
		return trial{}, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTrialBytes))
	if err != nil {
		return trial{}, false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&t) != nil || t.Update != j.Spec.Update || t.Revision != j.Spec.Revision {
		return trial{}, false
	}
	return t, true
}

// beginTrial notes what is there before an install that will be probed.
func (j Job) beginTrial(ctx context.Context, i Installer) (trial, error) {
	t := trial{Update: j.Spec.Update, Revision: j.Spec.Revision}
	if !j.onTrial(i) {
		return t, nil
	}
	before, err := i.Detect(ctx, j)
	if err != nil {
		return t, err
	}
	t.Before = before.Version
	return t, j.saveTrial(t)
}

func (j Job) saveTrial(t trial) error {
	if j.Keep == "" {
		return nil
	}
	err := privateFolder(j.Keep)
	var b []byte
	if err == nil {
		b, err = json.Marshal(t)
	}
	if err == nil {
		err = writeDurably(j.trialFile(), b)
	}
	if err != nil {
		return writeError(fmt.Errorf("%w", err), j, "note the trial of %s", j.Spec.Update)
	}
	return nil
}

// endTrial forgets the trial. It is not fatal if a crash brings it back: then the probe is asked again.
func (j Job) endTrial() error {
	if j.Keep == "" {
		return nil
	}
	err := os.Remove(j.trialFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.Folder(j.Keep)
	}
	if err != nil {
		return failed(ReasonDiskError, err, "end the trial of %s", j.Spec.Update)
	}
	return nil
}

// writeDurably replaces a small file in one step.
func writeDurably(path string, b []byte) error { return durable.Replace(path, b) }
