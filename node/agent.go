package node

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"patchmesh/node/control"
	"patchmesh/node/install"
)

// AgentRun is what a launcher has told this process about itself. The zero value: none has started it.
type AgentRun struct {
	Slots  string // folder of the pointer
	SHA256 string // of the program that runs, hex
}

// LaunchedAs reads what the launcher has put into the environment.
func LaunchedAs(getenv func(string) string) AgentRun {
	return AgentRun{Slots: getenv(envSlots), SHA256: getenv(envRuns)}
}

// agentPoll is how often a running process looks whether the pointer still names it.
const agentPoll = time.Second

// moved says whether the pointer names another program than this one.
func (r AgentRun) moved() bool {
	if r.Slots == "" {
		return false
	}
	p, err := install.AgentSlots(r.Slots).Read()
	return err == nil && p.Current.SHA256 != r.SHA256
}

// onTrial says whether this program has still to prove itself.
func (r AgentRun) onTrial() bool {
	if r.Slots == "" {
		return false
	}
	p, err := install.AgentSlots(r.Slots).Read()
	return err == nil && p.Trial != nil && p.Current.SHA256 == r.SHA256
}

// follow calls leave once the pointer names another program, and until then well, each time, while this one
// is on trial. It ends with ctx.
func (r AgentRun) follow(ctx context.Context, log *slog.Logger, well func() error, leave func()) {
	if r.Slots == "" {
		return
	}
	t := time.NewTicker(agentPoll)
	defer t.Stop()
	for said := ""; ; {
		switch {
		case r.moved():
			log.Info("another version of patchmesh takes over")
			leave()
			return
		case well != nil && r.onTrial():
			err := well()
			if err == nil {
				log.Info("this version of patchmesh has proved itself")
			} else if said != err.Error() {
				said = err.Error()
				log.Error("this version of patchmesh could not prove itself yet", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// watchAgent proves that this node is well where it is on trial, and makes room for another one.
func (n *Node) watchAgent(ctx context.Context) {
	n.cfg.Agent.follow(ctx, n.log, func() error { return n.proveWell(ctx) }, func() {
		n.handingOver.Store(true)
		n.cancel()
	})
}

// proveWell asks this node, as any program of this machine would, over its local socket, and then tells the
// apply role, which keeps the pointer. A loop that stands still answers nothing.
func (n *Node) proveWell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	local, err := control.Dial(first(n.cfg.Sockets, n.cfg.DataDir))
	if err != nil {
		return err
	}
	info, err := local.Node(ctx)
	if err != nil {
		return err
	}
	if info.ID != n.id {
		return errors.New("the local socket is another node's")
	}
	var sum [32]byte
	if b, err := hex.DecodeString(n.cfg.Agent.SHA256); err != nil || copy(sum[:], b) != len(sum) {
		return errors.New("the launcher did not say which program this is")
	}
	if err := n.loopTurns(ctx); err != nil {
		return err
	}
	return n.orders.Proved(ctx, sum)
}

// loopTurns waits until the loop has published a view that is newer than this call.
func (n *Node) loopTurns(ctx context.Context) error {
	was := n.view.Load()
	for n.view.Load() == was {
		select {
		case <-ctx.Done():
			return errors.New("the node's loop stands still")
		case <-time.After(viewEvery / 4):
		}
	}
	return nil
}

// slotsProof lets the apply role end the trial of the program that runs it.
type slotsProof AgentRun

// Proved implements apply.Prover: the node's program must be the very one that runs this role.
func (r slotsProof) Proved(sum [32]byte) error {
	if r.Slots == "" || hex.EncodeToString(sum[:]) != r.SHA256 {
		return errors.New("the node runs another program than the apply role")
	}
	err := install.AgentSlots(r.Slots).Prove(r.SHA256)
	if errors.Is(err, install.ErrNotOnTrial) {
		return nil // it was said before
	}
	return err
}
