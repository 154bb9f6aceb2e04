package apply

import (
	"context"
	"errors"
	"testing"

	"patchmesh/policy"
)

// prover remembers what it was told.
type prover struct {
	sums [][32]byte
	err  error
}

func (p *prover) Proved(sum [32]byte) error { p.sums = append(p.sums, sum); return p.err }

func TestRJ11TheNodesWordReachesThePointerWithItsHash(t *testing.T) {
	_, p, _, _ := withFaults(t)
	c := NewClient(p.sock, nil)
	sum := [32]byte{1, 2, 3}
	wantRefused(t, "no launcher has started it", c.Proved(context.Background(), sum), policy.ReasonPolicyDeclined)
	told := &prover{}
	p.role.cfg.Agent = told
	if err := c.Proved(context.Background(), sum); err != nil || len(told.sums) != 1 || told.sums[0] != sum {
		t.Fatalf("%v, told %v", err, told.sums)
	}
	told.err = errors.New("another program")
	wantRefused(t, "another program", c.Proved(context.Background(), sum), policy.ReasonAgentOutdated)
	if p.hands.changes() != 0 {
		t.Error("something was installed")
	}
	if err := c.Proved(context.Background(), [32]byte{}); !errors.Is(err, ErrUnreachable) || len(told.sums) != 2 {
		t.Errorf("no hash at all: %v", err)
	}
}
