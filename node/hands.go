package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"path/filepath"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/install"
	"patchmesh/node/inventory"
	"patchmesh/node/restart"
	"patchmesh/policy"
)

// hands are the installers as the apply role sees them, below one root.
type hands struct {
	root string // "": this system
	work string // private staging folder
	keep string // private folder for what outlives a restart

	early   *install.Early
	restart *restart.Machine
}

// newHands are the hands of a role that keeps its state in a folder.
func newHands(root, stateDir string, run restart.Run, down func(context.Context) bool) hands {
	return hands{
		root: root, work: workDir(stateDir), keep: keptDir(stateDir), early: &install.Early{},
		restart: &restart.Machine{Root: root, Keep: keptDir(stateDir), Run: run, Down: down},
	}
}

// restartFor books that an update asks for a restart, or asks no more.
func (h hands) restartFor(update string, res install.Result, err error) error {
	switch {
	case err != nil:
		return errors.Join(err, h.restart.Forget(update)) // whatever there is now, the update is not complete by restarting
	case res.RestartNeeded:
		return h.restart.Note(update)
	}
	return nil
}

func workDir(dataDir string) string { return filepath.Join(dataDir, "work") }

// keptDir holds what installers need later: unlike the work folder it must not be deleted.
func keptDir(dataDir string) string { return filepath.Join(dataDir, "kept") }

// Detect implements apply.Hands.
func (h hands) Detect(ctx context.Context, d *policy.Descriptor) (apply.Outcome, error) {
	inst, err := install.For(d.Installer)
	if err != nil {
		return apply.Outcome{}, handsError(err)
	}
	got, err := install.Look(ctx, inst, h.job(d, nil))
	out := apply.Outcome{Present: got.Present, Version: got.Version, Foreign: policy.Reason(got.Foreign)}
	if out.Foreign != "" {
		out.Detail = api.Clean(got.Detail)
	}
	return out, handsError(err)
}

// Install implements apply.Hands.
func (h hands) Install(ctx context.Context, d *policy.Descriptor, open func() (io.ReadCloser, error), step func(string) error) (apply.Outcome, error) {
	inst, err := install.For(d.Installer)
	if err != nil {
		return apply.Outcome{}, handsError(err)
	}
	j := h.job(d, open)
	j.Step = step
	res, err := install.Bring(ctx, inst, j)
	err = h.restartFor(j.Spec.Update, res, err)
	return apply.Outcome{Version: res.Version, Restart: res.RestartNeeded, Log: res.Log}, handsError(err)
}

// CopyEarly copies a payload that is still coming, for the install that follows. open is asked with a context that ends
// when the copy is given up.
func (h hands) CopyEarly(ctx context.Context, d *policy.Descriptor, open func(context.Context) (io.ReadCloser, error)) error {
	inst, err := install.For(d.Installer)
	if err != nil {
		return err
	}
	return h.early.Copy(ctx, inst, h.job(d, nil), open)
}

// Remove implements apply.Hands.
func (h hands) Remove(ctx context.Context, d *policy.Descriptor) (apply.Outcome, error) {
	inst, err := install.For(d.Installer)
	if err != nil {
		return apply.Outcome{}, handsError(err)
	}
	res, err := inst.Remove(ctx, h.job(d, nil))
	if err == nil {
		err = h.restart.Forget(string(d.Update)) // what it asked for was undone
	}
	err = h.restartFor(string(d.Update), res, err)
	return apply.Outcome{Version: res.Version, Restart: res.RestartNeeded, Log: res.Log}, handsError(err)
}

// job describes the work for an installer.
func (h hands) job(d *policy.Descriptor, open func() (io.ReadCloser, error)) install.Job {
	var sum [32]byte
	b, _ := hex.DecodeString(d.SHA256) // checked when the descriptor was decoded
	copy(sum[:], b)
	return install.Job{
		Root: h.root, Work: h.work, Keep: h.keep,
		Spec: install.Spec{
			Update: string(d.Update), Revision: d.Revision, Installer: d.Installer, Args: d.InstallerArgs, FileName: d.FileName,
			SHA256: sum, PlainBytes: d.PlainBytes, Package: d.Package, Version: d.Version, Arch: d.Arch,
			Applicable: d.Applicable, Installed: d.Installed, Probe: d.Probe, Before: d.Before, After: d.After,
			ProbeTime: time.Duration(cmp.Or(d.ProbeSeconds, policy.DefaultProbeSeconds)) * time.Second,
			MaxRun:    time.Duration(d.MaxRunSeconds) * time.Second,
		},
		Open: open, Early: h.early,
		Free: func(path string) (int64, error) {
			free, _, err := inventory.Free(path)
			return free, err
		},
	}
}

// handsError carries an installer's error over: its reason, numbers and log. A payload that could not
// be opened may have a reason of its own.
func handsError(err error) error {
	var e *install.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	var inner *apply.Error
	if errors.As(e.Err, &inner) {
		return inner
	}
	return &apply.Error{
		Reason: policy.Reason(e.Reason), What: e.Error(), Log: e.Log, Facts: e.Facts, Corrupt: errors.Is(err, install.ErrVerify),
	}
}
