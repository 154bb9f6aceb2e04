//go:build unix

package node

import (
	"os"
	"path/filepath"
	"testing"

	"patchmesh/policy"
)

// The role in the same process must not keep what the file said when it began.
func TestRH9ALocalHoldThatWasThereAtTheStartEndsWhenItIsTakenOff(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	file := filepath.Join(m.dir, "a", localPolicyFile)
	if err := os.WriteFile(file, []byte(`{"hold": ["u*"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	a := m.run("a", Config{Egress: EgressYes})
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to be held back", func() bool { return a.update(t, "u1").Reason == string(policy.ReasonLocalHold) })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	a.reloadLocal()
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
}
