package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/policy"
)

// FuzzJournal: whatever a crash or a bad disk left of the journal, it opens, lists what is in it as
// whole lines, and the next step is noted so that it is found again.
func FuzzJournal(f *testing.F) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	line := func(e Entry) string {
		b, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		return string(b)
	}
	began := line(Entry{At: at, Update: "u1", Revision: 1, Step: "install", Open: true})
	ended := line(Entry{At: at, Update: "u1", Revision: 1, Step: "done"})
	for _, s := range []string{"", began + "\n", began + "\n" + ended + "\n", began + "\n" + ended[:20], "null\n[]\n" + began, "\x00\x00\x00\x00", began + began + "\n"} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, open, err := OpenJournal(path)
		if err != nil {
			t.Fatalf("%q does not open: %v", b, err)
		}
		if len(open) > bytes.Count(b, []byte("\n"))+1 {
			t.Fatalf("%d steps were found in %q", len(open), b)
		}
		if err := errors.Join(j.JournalBegin("next", 7, "install", at), j.Close()); err != nil {
			t.Fatal(err)
		}
		j, open, err = OpenJournal(path)
		if err != nil || len(open) == 0 || open[len(open)-1].Update != "next" || open[len(open)-1].Revision != 7 {
			t.Fatalf("behind %q the next step is lost: %+v, %v", b, open, err)
		}
		_ = j.Close()
	})
}

// FuzzEnrolment: which machine this is is read strictly; what is taken could have been saved.
func FuzzEnrolment(f *testing.F) {
	path := filepath.Join(f.TempDir(), "machine.json")
	if err := (Enrolment{Org: "acme", ID: "12D3", Name: "till-3", Site: "main", Groups: []string{"office"}, Root: "bafk"}).Save(path); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(bytes.Clone(good), "{}"...))
	f.Add(bytes.Replace(good, []byte("office"), []byte("../office"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := LoadEnrolment(path)
		if err != nil {
			if errors.Is(err, ErrNotEnrolled) {
				t.Fatalf("%q is there and was taken for nothing", b)
			}
			return
		}
		for _, name := range append([]string{e.Name, e.Site}, e.Groups...) {
			if !policy.ValidName(name) {
				t.Fatalf("%q was taken for a name", name)
			}
		}
		if err := e.Save(path); err != nil {
			t.Fatalf("%+v was read and cannot be saved: %v", e, err)
		}
	})
}

// FuzzAnswer: what the other side of the socket says is an answer in its bounds or none at all.
func FuzzAnswer(f *testing.F) {
	var b bytes.Buffer
	if err := writeAnswer(&b, kindRefused, refused(policy.ReasonPolicyHold, "held")); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(header(byte(kindDone), maxBody))
	f.Add(append(header(byte(kindRefused), 4), "null"...))
	f.Add(append(header(byte(kindRefused), 13), `{"what":" "} `...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		_, n, err := readHeader(r, maxBody)
		if err != nil {
			return
		}
		if n < 0 || n > maxBody {
			t.Fatalf("an answer of %d bytes would be read", n)
		}
		body := b[len(b)-r.Len():]
		err = decodeError(body[:min(n, len(body))])
		var e *Error
		if errors.As(err, &e) && strings.TrimSpace(e.What) == "" || !errors.As(err, &e) && !errors.Is(err, ErrUnreachable) {
			t.Fatalf("%q was taken for %v", body, err)
		}
	})
}
