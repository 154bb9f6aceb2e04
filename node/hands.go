package node

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"path/filepath"

	"patchmesh/node/apply"
	"patchmesh/node/install"
	"patchmesh/node/inventory"
	"patchmesh/policy"
)

// hands are the installers as the apply role sees them, below one root.
type hands struct {
	root string // "": this system
	work string // private staging folder
}

func workDir(dataDir string) string { return filepath.Join(dataDir, "work") }

// Detect implements apply.Hands.
func (h hands) Detect(ctx context.Context, d *policy.Descriptor) (bool, string, error) {
	inst, err := install.For(d.Installer)
	if err != nil {
		return false, "", handsError(err)
	}
	got, err := inst.Detect(ctx, h.job(d, nil))
	return got.Present, got.Version, handsError(err)
}

// Install implements apply.Hands.
func (h hands) Install(ctx context.Context, d *policy.Descriptor, open func() (io.ReadCloser, error)) (string, error) {
	inst, err := install.For(d.Installer)
	if err != nil {
		return "", handsError(err)
	}
	res, err := inst.Install(ctx, h.job(d, open))
	return res.Version, handsError(err)
}

// Remove implements apply.Hands.
func (h hands) Remove(ctx context.Context, d *policy.Descriptor) (string, error) {
	inst, err := install.For(d.Installer)
	if err != nil {
		return "", handsError(err)
	}
	res, err := inst.Remove(ctx, h.job(d, nil))
	return res.Version, handsError(err)
}

// job describes the work for an installer.
func (h hands) job(d *policy.Descriptor, open func() (io.ReadCloser, error)) install.Job {
	var sum [32]byte
	b, _ := hex.DecodeString(d.SHA256) // checked when the descriptor was decoded
	copy(sum[:], b)
	return install.Job{
		Root: h.root, Work: h.work,
		Spec: install.Spec{
			Update: string(d.Update), Revision: d.Revision, Installer: d.Installer, Args: d.InstallerArgs, FileName: d.FileName,
			SHA256: sum, PlainBytes: d.PlainBytes, Package: d.Package, Version: d.Version, Arch: d.Arch,
		},
		Open: open,
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
