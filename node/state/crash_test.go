package state

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain turns the test program into the process that gets killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("SPEND_TOKENS"); path != "" {
		spendUntilKilled(path)
	}
	os.Exit(m.Run())
}

func crashHash(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8), 1} }

// spendUntilKilled makes single-use tokens and spends each, saying so only afterwards.
func spendUntilKilled(path string) {
	db, err := Open(path)
	for i := 0; err == nil; i++ {
		if err = db.PutToken(TokenRow{Hash: crashHash(i), Site: "s", UsesLeft: 1, ExpiresAt: noon.Add(time.Hour)}); err == nil {
			if _, err = enrolWith(db, crashHash(i), "first", noon); err == nil {
				fmt.Println(i)
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A use that was reported is never forgotten by a kill, so no token lets two machines in.
func TestKilledProcessForgetsNoSpentToken(t *testing.T) {
	for round := range 12 {
		path := filepath.Join(t.TempDir(), "state.db")
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SPEND_TOKENS="+path)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		must(t, err, cmd.Start())
		stopAfter := 1 + rand.IntN(20)
		last := -1
		for lines := bufio.NewScanner(out); last < stopAfter && lines.Scan(); {
			if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		if last < stopAfter {
			t.Fatalf("round %d: the process ended by itself: %s", round, stderr.String())
		}
		db := reopen(t, path)
		for i := 0; i <= last; i++ {
			if _, err := enrolWith(db, crashHash(i), "second", noon); err == nil {
				t.Errorf("round %d: token %d let a second machine in", round, i)
			}
			if _, err := enrolWith(db, crashHash(i), "first", noon); err != nil {
				t.Errorf("round %d: token %d: the first machine is turned away: %v", round, i, err)
			}
		}
	}
}
