package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"patchmesh/node/state"
	"patchmesh/policy"
)

// toldKey is where the ledger of what people were told of restarts stands in the database: it outlives the program,
// so that nobody is told the same twice because it was started anew.
const toldKey = "restart-told"

// told reads the ledger, the newest last. One that cannot be read is none: people are told again.
func (n *Node) told() []policy.Told {
	b, err := n.db.Value(toldKey)
	var out []policy.Told
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		n.log.Warn("what people were told of restarts cannot be read", "err", err)
		return nil
	}
	return out[max(0, len(out)-policy.MaxTold):]
}

// remindRestart has people told of a restart that waits or comes, if that is due. It is in the ledger before it
// counts: 'patchmesh notices' shows it, and whatever shows notices on a desktop asks for that.
func (n *Node) remindRestart(plan policy.RestartPlan, now time.Time) error {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil
	}
	told := n.told()
	t, due, _ := m.RemindRestart(n.machineFacts(), plan, told, now)
	if !due {
		return nil
	}
	t.At = t.At.UTC()
	told = append(slices.Clone(told), t)
	b, err := json.Marshal(told[max(0, len(told)-policy.MaxTold):])
	if err == nil {
		err = n.db.PutValue(toldKey, b)
	}
	if err != nil {
		return fmt.Errorf("note what people were told of a restart: %w", err)
	}
	n.log.Info("people are told of a restart", "kind", t.Kind, "text", t.Text)
	return nil
}
