package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"patchmesh/content"
	"patchmesh/node/install"
	"patchmesh/node/inventory"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// The apply role. It does not believe the rest of the program: what it is asked to install it looks
// up in the signed documents on disk, verifies their whole chain again, and installs only a copy that
// it has hashed itself.

func installerKinds() []string { return install.Kinds() }

// machineFacts are what plans are made from.
func (n *Node) machineFacts() policy.Machine {
	return policy.Machine{
		ID: n.id, Name: n.member.Name, Site: n.member.Site, Groups: n.member.Groups,
		OS: runtime.GOOS, Arch: runtime.GOARCH, Installers: installerKinds(),
	}
}

// detect looks whether an update is on the machine.
func (n *Node) detect(ctx context.Context, a swarm.Detect) {
	d, err := n.descriptor(a.Descriptor)
	if err != nil {
		n.events.send(failure(a.Req, err))
		return
	}
	inst, err := install.For(d.Installer)
	if err != nil {
		n.events.send(installFailure(a.Req, err))
		return
	}
	got, err := inst.Detect(ctx, n.job(d))
	if err != nil {
		n.events.send(installFailure(a.Req, err))
		return
	}
	n.events.send(swarm.Detected{Req: a.Req, Present: got.Present, Version: got.Version})
}

// install installs or removes an update, after checking once more that approvers want it here.
func (n *Node) install(ctx context.Context, req swarm.Req, id content.ID, want policy.Action) {
	version, err := n.apply(ctx, id, want)
	if err != nil {
		n.events.send(installFailure(req, err))
		return
	}
	n.events.send(swarm.Installed{Req: req, Version: version})
}

func (n *Node) apply(ctx context.Context, id content.ID, want policy.Action) (string, error) {
	d, err := n.approvedHere(id, want)
	if err != nil {
		return "", err
	}
	inst, err := install.For(d.Installer)
	if err != nil {
		return "", err
	}
	job := n.job(d)
	if err := n.db.JournalBegin(string(d.Update), d.Revision, string(want), n.cfg.Now()); err != nil {
		return "", err
	}
	var res install.Result
	if want == policy.ActionRemove {
		res, err = inst.Remove(ctx, job)
	} else {
		res, err = inst.Install(ctx, job)
	}
	step := "done"
	if err != nil {
		step = "failed: " + err.Error()
	}
	if jerr := n.db.JournalEnd(string(d.Update), d.Revision, step, n.cfg.Now()); jerr != nil && err == nil {
		err = jerr
	}
	return res.Version, err
}

// approvedHere reads the trusted documents from disk, verifies them from the root on, and finds the
// descriptor among what they approve for this machine today. Nothing in memory is asked.
func (n *Node) approvedHere(id content.ID, want policy.Action) (*policy.Descriptor, error) {
	dir, err := trustdir.Open(filepath.Join(n.cfg.DataDir, "trust"))
	if err != nil {
		return nil, err
	}
	kept, err := dir.Recall()
	now, t := n.cfg.Now(), kept.Trust
	if err != nil || kept.Lost != nil || t.Manifest() == nil {
		return nil, &install.Error{Reason: string(policy.ReasonTrustFloorRebuilt), What: fmt.Sprintf("%s %s: trust is damaged on disk", want, id.Short())}
	}
	d, err := n.descriptor(id)
	if err != nil {
		return nil, err
	}
	m := n.machineFacts()
	plan := policy.MakePlan(t.Manifest(), n.describer(), m, t.Stale(now), now)
	for _, v := range plan.Verdicts {
		if v.Descriptor == id && v.Update == d.Update && string(v.Verb) == string(want) {
			return d, nil
		}
	}
	return nil, &install.Error{Reason: string(policy.ReasonPolicyDeclined), What: fmt.Sprintf("%s %s: the approvals do not ask for it any more", want, d.Update)}
}

// descriptor reads a descriptor that is at home.
func (n *Node) descriptor(id content.ID) (*policy.Descriptor, error) {
	b, err := n.docs.document(id)
	if err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	return policy.DecodeDescriptor(b)
}

func (n *Node) describer() func(content.ID) *policy.Descriptor {
	return func(id content.ID) *policy.Descriptor {
		d, err := n.descriptor(id)
		if err != nil {
			return nil
		}
		return d
	}
}

// job describes the work for an installer.
func (n *Node) job(d *policy.Descriptor) install.Job {
	var sum [32]byte
	b, _ := hex.DecodeString(d.SHA256) // checked when the descriptor was decoded
	copy(sum[:], b)
	return install.Job{
		Root: n.cfg.Root, Work: filepath.Join(n.cfg.DataDir, "work"),
		Spec: install.Spec{
			Update: string(d.Update), Revision: d.Revision, Installer: d.Installer, Args: d.InstallerArgs, FileName: d.FileName,
			SHA256: sum, PlainBytes: d.PlainBytes, Package: d.Package, Version: d.Version, Arch: d.Arch,
		},
		Open: func() (io.ReadCloser, error) { return n.store.OpenPlain(d.Payload) },
		Free: func(path string) (int64, error) {
			free, _, err := inventory.Free(path)
			return free, err
		},
	}
}

// installFailure translates an installer's error for the core.
func installFailure(req swarm.Req, err error) swarm.Failed {
	f := failure(req, err)
	var e *install.Error
	if errors.As(err, &e) {
		f.Reason, f.Facts = policy.Reason(e.Reason), e.Facts
		if e.Log != "" {
			f.Detail += ": " + e.Log
		}
	}
	if errors.Is(err, install.ErrVerify) {
		f.Reason = policy.ReasonTrustBadChunk
	}
	return f
}

// reportInterrupted says which installs a crash has cut off; the core looks at the machine again
// before it tries anything, so this is for people.
func (n *Node) reportInterrupted() {
	open, err := n.db.JournalOpen()
	if err != nil {
		n.log.Warn("install journal not read", "err", err)
		return
	}
	for _, j := range open {
		n.log.Warn("an install was interrupted; the machine is looked at again", "update", j.Update, "revision", j.Revision, "since", j.At.Format(time.RFC3339))
	}
}
