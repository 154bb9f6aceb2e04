package apply

import (
	"path/filepath"
	"testing"
	"time"
)

// TestRH7TheJournalTellsHowFarAnInterruptedInstallHadCome: one entry for each install that was cut off,
// with its last step; none for one that has ended.
func TestRH7TheJournalTellsHowFarAnInterruptedInstallHadCome(t *testing.T) {
	path, at := filepath.Join(t.TempDir(), "journal"), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	j, _, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{
		j.JournalBegin("a", 1, "install", at), j.JournalStep("a", 1, "staged", at), j.JournalStep("a", 1, "started", at),
		j.JournalEnd("a", 1, "done", at),
		j.JournalBegin("b", 2, "install", at), j.JournalStep("b", 2, "staged", at), j.JournalStep("b", 2, "started", at),
		j.Close(),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	j, open, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if len(open) != 1 || open[0].Update != "b" || open[0].Step != "started" {
		t.Errorf("cut off: %+v, want b at started", open)
	}
}
