package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/node/keys"
)

// While a machine was off the seed got a new enrolment key. The machine does not know it, so it can
// neither believe its new certificate nor those of the others: the roster must come with the renewal.
func TestSEnrolMachineThatWasOffLearnsOfANewEnrolmentKey(t *testing.T) {
	m, clock := clockMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Now: clock.now})
	until(t, "the session", func() bool { return a.sees(m.seed.id) })
	a.stop()
	m.seed.stop()
	clock.forward(60 * 24 * time.Hour)

	dir := filepath.Join(m.dir, "seed", "keys")
	for _, suffix := range []string{".key", ".pub"} {
		if err := os.Remove(filepath.Join(dir, roleEnrol+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	fresh, err := keys.CreateRole(dir, roleEnrol, "", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	off, err := OpenOffline(filepath.Join(m.dir, "seed"), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	roster := *off.believer.current().Roster()
	roster.EnrolmentKeys = []string{hex.EncodeToString(fresh.Public().(ed25519.PublicKey))}
	err = off.seed.renew(&roster)
	off.Close()
	if err != nil {
		t.Fatal(err)
	}

	m.seed = m.run("seed", Config{Now: clock.now, Listen: m.seed.addr})
	a = m.run("a", Config{Egress: EgressYes, Now: clock.now})
	until(t, "the machine to come back", func() bool {
		clock.forward(10 * time.Second)
		return a.sees(m.seed.id)
	})
	if a.believer.current().HeadVersion() < m.seed.believer.current().HeadVersion() {
		t.Error("it came back without the documents of today")
	}
}
