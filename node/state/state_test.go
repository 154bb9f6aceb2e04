package state

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"patchmesh/content"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openDB(t *testing.T) *DB {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "state.db"))
}

func reopen(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotAndDraftSurviveReopening(t *testing.T) {
	db := openDB(t)
	if b, _, err := db.Snapshot(); b != nil || err != nil {
		t.Errorf("before the first: %q, %v", b, err)
	}
	must(t, db.SaveSnapshot([]byte("one")), db.SaveSnapshot([]byte("two")), db.SaveDraft([]byte("draft")), db.Close())
	db = reopen(t, db.path)
	if b, _, err := db.Snapshot(); string(b) != "two" || err != nil {
		t.Errorf("snapshot %q, %v", b, err)
	}
	if b, err := db.Draft(); string(b) != "draft" || err != nil {
		t.Errorf("draft %q, %v", b, err)
	}
	must(t, db.SaveDraft(nil))
	if b, err := db.Draft(); b != nil || err != nil {
		t.Errorf("removed draft: %q, %v", b, err)
	}
	if err := db.SaveSnapshot(make([]byte, maxSnapshotBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("huge snapshot: %v, want ErrTooLarge", err)
	}
}

func TestDatabaseIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // access lists, not modes
	}
	db := openDB(t)
	must(t, db.SaveSnapshot([]byte("secret")))
	files, _ := filepath.Glob(db.path + "*")
	if len(files) < 2 {
		t.Errorf("files %v, want the database and its log", files)
	}
	for _, f := range files {
		if fi, err := os.Stat(f); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f, fi.Mode(), err)
		}
	}
}

// Names that mean something in a URI must not reach another file or switch a pragma.
func TestPathsWithSpecialCharacters(t *testing.T) {
	for _, name := range []string{"a b", "a?mode=memory", "a#b", "a%41", "a&_pragma=synchronous(OFF)", "äö"} {
		dir := filepath.Join(t.TempDir(), name)
		if runtime.GOOS == "windows" && strings.ContainsAny(name, "?") {
			continue // no file name there
		}
		must(t, os.Mkdir(dir, 0o700))
		db := reopen(t, filepath.Join(dir, "state.db"))
		must(t, db.SaveSnapshot([]byte(name)), db.Close())
		if fi, err := os.Stat(filepath.Join(dir, "state.db")); err != nil || fi.Size() == 0 {
			t.Errorf("%s: the database is elsewhere (%v)", name, err)
		}
	}
}

func TestWritersAreDurable(t *testing.T) {
	db := openDB(t)
	for name, c := range map[string]struct {
		pool *sql.DB
		want int
	}{"write": {db.write, 2}, "hasty": {db.hasty, 1}} { // 2 is FULL, 1 NORMAL
		var sync int
		var mode string
		must(t, c.pool.QueryRow("PRAGMA synchronous").Scan(&sync), c.pool.QueryRow("PRAGMA journal_mode").Scan(&mode))
		if sync != c.want || mode != "wal" {
			t.Errorf("%s: synchronous %d, want %d; journal %s", name, sync, c.want, mode)
		}
	}
	if _, err := db.read.Exec("DELETE FROM singles"); err == nil {
		t.Error("the readers can write")
	}
}

// Every kind of wrong file is refused by name and left byte for byte as it was.
func TestOpenRefusesFilesThatAreNotOurs(t *testing.T) {
	good := openDB(t)
	must(t, good.SaveSnapshot(bytes.Repeat([]byte("x"), 100000)), good.Close())
	body, err := os.ReadFile(good.path)
	must(t, err)
	sqlFile := func(statements string) []byte {
		path := filepath.Join(t.TempDir(), "other.db")
		pool := connect(path, 1)
		_, err := pool.Exec(statements)
		must(t, err, pool.Close())
		b, err := os.ReadFile(path)
		must(t, err)
		return b
	}
	damaged := bytes.Clone(body)
	for i := 4096; i < 8192; i++ {
		damaged[i] = 0xa5
	}
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"text":                     {[]byte("this is not a database, it is a text that somebody put here"), ErrDamaged},
		"zeros":                    {make([]byte, 8192), ErrDamaged},
		"another program's":        {sqlFile("CREATE TABLE x (y)"), ErrDamaged},
		"another program's mark":   {sqlFile("PRAGMA application_id=7; CREATE TABLE x (y)"), ErrDamaged},
		"of a newer version":       {sqlFile(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d; CREATE TABLE x (y)", applicationID, len(steps)+1)), ErrNewerSchema},
		"of a negative version":    {sqlFile(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=-1; CREATE TABLE x (y)", applicationID)), ErrDamaged},
		"with a page overwritten":  {damaged, ErrDamaged},
		"cut in the middle":        {body[:len(body)/2/4096*4096], ErrDamaged},
		"with a header of nothing": {append(make([]byte, 100), body[100:]...), ErrDamaged},
	} {
		path := filepath.Join(t.TempDir(), "state.db")
		must(t, os.WriteFile(path, c.body, 0o600))
		db, err := Open(path)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v does not name the file", name, err)
		}
		if err == nil {
			db.Close()
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, c.body) {
			t.Errorf("%s: the file was changed (%v)", name, err)
		}
	}
}

func TestOpenContinuesAfterACrashBeforeTheFirstStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	pool := connect(path, 1)
	_, err := pool.Exec(fmt.Sprintf("PRAGMA application_id=%d", applicationID))
	must(t, err, pool.Close())
	must(t, reopen(t, path).SaveSnapshot([]byte("x")))
}

func TestFullDiskIsErrNoSpaceAndLosesNothing(t *testing.T) {
	db := openDB(t)
	must(t, db.SaveSnapshot([]byte("kept")))
	_, err := db.write.Exec("PRAGMA max_page_count=40") // the engine's own "disk full"
	must(t, err)
	if err := db.SaveSnapshot(make([]byte, 1<<20)); !errors.Is(err, content.ErrNoSpace) || !errors.Is(err, ErrNoSpace) {
		t.Errorf("%v, want ErrNoSpace", err)
	}
	if b, _, err := db.Snapshot(); string(b) != "kept" || err != nil {
		t.Errorf("snapshot is now %d bytes, %v", len(b), err)
	}
	must(t, db.SaveSnapshot([]byte("small")))
}

func TestValues(t *testing.T) {
	db := openDB(t)
	if _, err := db.Value("a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	must(t, db.PutValue("a", []byte("1")), db.PutValue("a", []byte("2")), db.PutValue("b", nil))
	if b, err := db.Value("a"); string(b) != "2" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := db.Value("b"); len(b) != 0 || err != nil {
		t.Errorf("empty value: %q, %v", b, err)
	}
	must(t, db.DropValue("a"), db.DropValue("a"))
	if _, err := db.Value("a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if err := db.PutValue(strings.Repeat("n", maxValueName+1), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("long name: %v", err)
	}
}

func TestDocumentsAreWhatTheirNamesSay(t *testing.T) {
	db := openDB(t)
	body := []byte("a descriptor")
	id := content.Sum(body)
	var corrupt *content.CorruptError
	if err := db.PutDoc(id, "descriptor", []byte("another")); !errors.As(err, &corrupt) {
		t.Errorf("wrong name: %v, want *content.CorruptError", err)
	}
	if has, err := db.HasDoc(id); has || err != nil {
		t.Errorf("has %v, %v", has, err)
	}
	must(t, db.PutDoc(id, "descriptor", body), db.PutDoc(id, "descriptor", body))
	if b, err := db.Doc(id); !bytes.Equal(b, body) || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if has, err := db.HasDoc(id); !has || err != nil {
		t.Errorf("has %v, %v", has, err)
	}
	if _, err := db.Doc(content.Sum(nil)); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	must(t, db.PutDoc(content.Sum(nil), "empty", nil))
	if b, err := db.Doc(content.Sum(nil)); len(b) != 0 || err != nil {
		t.Errorf("empty document: %q, %v", b, err)
	}
	// A disk that gives back other bytes must not be believed.
	_, err := db.write.Exec("UPDATE docs SET body = x'6576696c' WHERE kind = 'descriptor'")
	must(t, err)
	if b, err := db.Doc(id); !errors.Is(err, ErrDamaged) {
		t.Errorf("%q, %v, want ErrDamaged", b, err)
	}
	must(t, db.PutDoc(id, "descriptor", body)) // it came again
	if b, err := db.Doc(id); !bytes.Equal(b, body) || err != nil {
		t.Errorf("after it came again: %q, %v", b, err)
	}
}

func TestDropDocsKeepsWhatIsWanted(t *testing.T) {
	db := openDB(t)
	for i := range 10 {
		b := []byte{byte(i)}
		must(t, db.PutDoc(content.Sum(b), []string{"old", "new"}[i%2], b))
	}
	n, err := db.DropDocs(func(_ content.ID, kind string) bool { return kind == "new" })
	if n != 5 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	for i := range 10 {
		if has, err := db.HasDoc(content.Sum([]byte{byte(i)})); err != nil || has != (i%2 == 1) {
			t.Errorf("%d: has %v, %v", i, has, err)
		}
	}
}

func TestOnlyNewerReportsCount(t *testing.T) {
	db := openDB(t)
	put := func(seq uint64, at time.Duration, body string, want bool) {
		t.Helper()
		if newer, err := db.PutReport("m1", seq, noon.Add(at), []byte(body)); newer != want || err != nil {
			t.Errorf("report %d: newer %v, %v, want %v", seq, newer, err, want)
		}
	}
	must(t, db.Touch("m1", noon.Add(-time.Hour)), db.Touch("m0", noon))
	put(5, 0, "five", true)
	put(5, time.Minute, "five again", false)
	put(4, 2*time.Minute, "four", false)
	put(6, -time.Minute, "six", true) // the clock went back; numbers decide
	must(t, db.Touch("m1", noon))     // as does an old contact
	got, err := db.Reports()
	must(t, err)
	if len(got) != 2 || got[0].Machine != "m0" || got[0].Body != nil || !got[0].At.IsZero() || !got[0].ContactAt.Equal(noon) {
		t.Fatalf("reports %+v", got)
	}
	if r := got[1]; r.Seq != 6 || string(r.Body) != "six" || !r.At.Equal(noon.Add(-time.Minute)) || !r.ContactAt.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("report %+v", r)
	}
	for _, seq := range []uint64{0, 1 << 63, 1<<64 - 1} {
		if _, err := db.PutReport("m1", seq, noon, nil); err == nil {
			t.Errorf("report number %d was taken", seq)
		}
	}
	if _, err := db.PutReport("m1", 9, noon, make([]byte, maxReportBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("huge report: %v", err)
	}
	if _, err := db.PutReport("", 9, noon, nil); err == nil {
		t.Error("a report of nobody was taken")
	}
	must(t, db.DropReport("m1"))
	if got, _ := db.Reports(); len(got) != 1 {
		t.Errorf("after dropping: %+v", got)
	}
}

func TestOutboxKeepsTheNewestUntilItIsTaken(t *testing.T) {
	db := openDB(t)
	if _, _, err := db.Outbox("m"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	must(t, db.PutOutbox("m", 2, []byte("two")), db.PutOutbox("m", 1, []byte("one")), db.PutOutbox("n", 1, nil))
	if seq, b, err := db.Outbox("m"); seq != 2 || string(b) != "two" || err != nil {
		t.Errorf("%d %q %v", seq, b, err)
	}
	must(t, db.AckOutbox("m", 1), db.AckOutbox("m", 1<<63))
	if seq, _, err := db.Outbox("m"); seq != 2 || err != nil {
		t.Errorf("acknowledging an older one removed it: %d %v", seq, err)
	}
	must(t, db.PutOutbox("m", 3, []byte("three")))
	if got, err := db.Waiting(); err != nil || !slices.Equal(got, []OutboxRow{{"n", 1}, {"m", 3}}) {
		t.Errorf("waiting %v, %v", got, err)
	}
	must(t, db.AckOutbox("m", 3), db.AckOutbox("m", 3))
	if _, _, err := db.Outbox("m"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}

func TestOutboxIsBounded(t *testing.T) {
	db := openDB(t)
	_, err := db.write.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < ?)
		INSERT INTO outbox SELECT 'm' || i, 1, i, x'00' FROM n`, maxOutboxRows)
	must(t, err, db.PutOutbox("late", 1, []byte("x")))
	got, err := db.Waiting()
	if err != nil || len(got) != maxOutboxRows || got[0].Machine != "m2" || got[len(got)-1].Machine != "late" {
		t.Errorf("%d rows, first %+v, %v", len(got), got[0], err)
	}
	// Bytes count too: 3 MiB reports push the oldest out long before there are 4096 of them.
	_, err = db.write.Exec(`UPDATE outbox SET body = zeroblob(3 << 20) WHERE turn > ?`, maxOutboxRows-99)
	must(t, err, db.PutOutbox("later", 1, []byte("x")))
	if got, err = db.Waiting(); err != nil || len(got) > 90 || got[len(got)-1].Machine != "later" {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

func TestJournalTellsWhatACrashCutOff(t *testing.T) {
	db := openDB(t)
	must(t, db.JournalBegin("u1", 1, "install", noon), db.JournalBegin("u2", 1, "install", noon.Add(time.Second)),
		db.JournalStep("u1", 1, "staged", noon.Add(2*time.Second)), db.JournalEnd("u1", 1, "done", noon.Add(3*time.Second)), db.Close())
	db = reopen(t, db.path)
	open, err := db.JournalOpen()
	if err != nil || len(open) != 1 || open[0].Update != "u2" || !open[0].Open || !open[0].At.Equal(noon.Add(time.Second)) {
		t.Fatalf("open %+v, %v", open, err)
	}
	must(t, db.JournalBegin("u2", 1, "install again", noon.Add(time.Minute)))
	if open, err = db.JournalOpen(); err != nil || len(open) != 1 || open[0].Step != "install again" || !open[0].BegunAt.Equal(noon.Add(time.Minute)) {
		t.Errorf("open %+v, %v", open, err)
	}
	must(t, db.JournalEnd("u2", 1, strings.Repeat("ä", maxStepBytes), noon))
	if err := db.JournalEnd("u2", 1, "twice", noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if err := db.JournalStep("nothing", 1, "x", noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	all, err := db.Journal()
	if err != nil || len(all) != 2 || all[0].Update != "u2" || len(all[0].Step) > maxStepBytes || all[1].Step != "done" || all[1].Open {
		t.Errorf("journal of %d, %v", len(all), err)
	}
	_, err = db.write.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000)
		INSERT INTO journal("update", revision, step, begun_at, at, open) SELECT 'x', i, 's', 0, 0, 0 FROM n`)
	must(t, err, db.JournalBegin("u3", 1, "a", noon), db.JournalEnd("u3", 1, "b", noon))
	if all, err = db.Journal(); err != nil || len(all) != keptJournal {
		t.Errorf("%d entries are kept, %v", len(all), err)
	}
}

func TestCatalogueKeepsRevisions(t *testing.T) {
	db := openDB(t)
	row := func(update string, revision int, body string, at time.Duration) CatalogueRow {
		return CatalogueRow{update, revision, content.Sum([]byte(body)), []byte(body), noon.Add(at)}
	}
	a1, a2, b1 := row("a", 1, "a1", 0), row("a", 2, "a2", 2*time.Hour), row("b", 1, "b1", time.Hour)
	must(t, db.PutUpdate(a1), db.PutUpdate(a2), db.PutUpdate(b1), db.PutUpdate(a1))
	if r, err := db.Update("a"); err != nil || r.Revision != 2 || r.Descriptor != a2.Descriptor || string(r.Body) != "a2" || !r.At.Equal(a2.At) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := db.UpdateRevision("a", 1); err != nil || string(r.Body) != "a1" {
		t.Errorf("%+v, %v", r, err)
	}
	all, err := db.Updates()
	if err != nil || len(all) != 2 || all[0].Update != "b" || all[1].Revision != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, err := range []error{func() error { _, err := db.Update("c"); return err }(), func() error { _, err := db.UpdateRevision("a", 3); return err }()} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	}
	if err := db.PutUpdate(row("a", 1, "something else", 0)); err == nil {
		t.Error("a revision was changed after the fact")
	}
	wrong := a1
	wrong.Descriptor = a2.Descriptor
	var corrupt *content.CorruptError
	if err := db.PutUpdate(wrong); !errors.As(err, &corrupt) {
		t.Errorf("%v, want *content.CorruptError", err)
	}
}

func TestGroups(t *testing.T) {
	db := openDB(t)
	must(t, db.PutGroup("berlin", "europe"), db.PutGroup("europe", ""), db.PutGroup("berlin", ""))
	got, err := db.Groups()
	if err != nil || !slices.Equal(got, []GroupRow{{"berlin", "europe"}, {"europe", ""}}) {
		t.Errorf("%v, %v", got, err)
	}
	must(t, db.PutGroup("berlin", "world"))
	if got, _ := db.Groups(); got[0].Parent != "world" {
		t.Errorf("%v", got)
	}
	if err := db.PutGroup("", ""); err == nil {
		t.Error("a group without a name")
	}
}

func TestMembers(t *testing.T) {
	db := openDB(t)
	m := MemberRow{ID: "id1", Name: "web-1", Site: "north", Groups: []string{"web", "db"}, Serial: 7, NotAfter: noon, JoinedAt: noon}
	must(t, db.PutMember(m), db.PutMember(MemberRow{ID: "id0", JoinedAt: noon}))
	m.Serial, m.JoinedAt = 8, noon.Add(time.Hour)
	must(t, db.PutMember(m))
	got, err := db.Members()
	if err != nil || len(got) != 2 || got[0].ID != "id0" || len(got[0].Groups) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if g := got[1]; g.Serial != 8 || !g.JoinedAt.Equal(noon) || !slices.Equal(g.Groups, m.Groups) || g.Name != "web-1" || !g.NotAfter.Equal(noon) {
		t.Errorf("%+v", g)
	}
	if one, err := db.Member("id1"); err != nil || one.Serial != 8 {
		t.Errorf("%+v, %v", one, err)
	}
	must(t, db.DropMember("id1"))
	if _, err := db.Member("id1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if err := db.PutMember(MemberRow{ID: "x", Groups: make([]string, maxGroups+1)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("many groups: %v", err)
	}
}

func TestSerialsAreNeverGivenTwice(t *testing.T) {
	db := openDB(t)
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				n, err := db.NextSerial()
				mu.Lock()
				if err != nil || n == 0 || seen[n] {
					t.Errorf("serial %d, %v", n, err)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	must(t, db.Close())
	if n, err := reopen(t, db.path).NextSerial(); n != 101 || err != nil {
		t.Errorf("after reopening: %d, %v", n, err)
	}
}

// token is one for any machine; enrolWith uses it.
func token(n byte, site string, groups []string, uses int, expires time.Time) TokenRow {
	return TokenRow{Hash: [32]byte{n}, Site: site, Groups: groups, UsesLeft: uses, ExpiresAt: expires}
}

func enrolWith(db *DB, hash [32]byte, machine string, now time.Time) (MemberRow, error) {
	return db.Enrol(Applicant{Token: hash, Machine: machine, ID: machine, Name: "m", Life: 7 * 24 * time.Hour}, now)
}

func TestTokensAreSpentOncePerMachine(t *testing.T) {
	db := openDB(t)
	hash := [32]byte{1}
	must(t, db.PutToken(token(1, "north", []string{"web"}, 2, noon.Add(time.Hour))))
	serials := map[string]uint64{}
	spend := func(machine string, at time.Duration, want error) {
		t.Helper()
		row, err := enrolWith(db, hash, machine, noon.Add(at))
		if !errors.Is(err, want) || err == nil && (row.Site != "north" || !slices.Equal(row.Groups, []string{"web"})) {
			t.Errorf("%s: %+v, %v, want %v", machine, row, err, want)
		}
		if was := serials[machine]; err == nil && was != 0 && was != row.Serial {
			t.Errorf("%s asked again and got serial %d after %d", machine, row.Serial, was)
		}
		serials[machine] = row.Serial
	}
	spend("a", 0, nil)
	spend("a", time.Minute, nil) // its answer was lost
	spend("b", time.Minute, nil)
	spend("c", time.Minute, ErrTokenSpent)
	spend("c", time.Minute, ErrTokenSpent)
	spend("a", time.Hour, nil) // it must not be stranded because the token expired since
	spend("c", time.Hour, ErrTokenExpired)
	if _, err := enrolWith(db, [32]byte{2}, "a", noon); !errors.Is(err, ErrTokenUnknown) {
		t.Errorf("%v, want ErrTokenUnknown", err)
	}
	if err := db.PutToken(token(1, "south", nil, 9, noon.Add(9*time.Hour))); err == nil {
		t.Error("a token was replaced")
	}
	for _, uses := range []int{0, -1, maxTokenUses + 1} {
		if err := db.PutToken(token(3, "x", nil, uses, noon)); err == nil {
			t.Errorf("%d uses were accepted", uses)
		}
	}
}

func TestASingleUseTokenIsSpentOnceInARace(t *testing.T) {
	db := openDB(t)
	must(t, db.PutToken(token(1, "s", nil, 1, noon.Add(time.Hour))))
	var wg sync.WaitGroup
	won := make(chan string, 16)
	for i := range 16 {
		wg.Go(func() {
			if _, err := enrolWith(db, [32]byte{1}, fmt.Sprint(i), noon); err == nil {
				won <- fmt.Sprint(i)
			} else if !errors.Is(err, ErrTokenSpent) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d machines got in on one use", len(won))
	}
}

func TestExpiredTokensAreForgottenLater(t *testing.T) {
	db := openDB(t)
	must(t, db.PutToken(token(1, "s", nil, 1, noon)), db.PutToken(token(2, "s", nil, 9, noon.Add(1000*time.Hour))))
	_, err := enrolWith(db, [32]byte{2}, "a", noon.Add(24*time.Hour))
	must(t, err)
	if _, err := enrolWith(db, [32]byte{1}, "a", noon.Add(24*time.Hour)); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("a day later: %v, want ErrTokenExpired", err)
	}
	_, err = enrolWith(db, [32]byte{2}, "b", noon.Add(31*24*time.Hour))
	must(t, err)
	if _, err := enrolWith(db, [32]byte{1}, "a", noon.Add(31*24*time.Hour)); !errors.Is(err, ErrTokenUnknown) {
		t.Errorf("a month later: %v, want ErrTokenUnknown", err)
	}
}

func TestKnownPeersAreBoundedAndNewestFirst(t *testing.T) {
	db := openDB(t)
	_, err := db.write.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < ?)
		INSERT INTO peers SELECT 'p' || i, '10.0.0.1:' || i, i FROM n`, keptPeers)
	must(t, err, db.PutPeer("new", "10.0.0.2:1", noon), db.PutPeer("new", "10.0.0.3:1", noon.Add(time.Second)), db.PutPeer("new", "10.0.0.3:1", noon.Add(-time.Hour)))
	got, err := db.KnownPeers(2)
	if err != nil || len(got) != 2 || got[0].Addr != "10.0.0.3:1" || !got[0].SeenAt.Equal(noon.Add(time.Second)) || got[1].Addr != "10.0.0.2:1" {
		t.Errorf("%+v, %v", got, err)
	}
	all, err := db.KnownPeers(1 << 30)
	if err != nil || len(all) != keptPeers || all[len(all)-1].ID != "p3" {
		t.Errorf("%d peers, last %+v, %v", len(all), all[len(all)-1], err)
	}
	must(t, db.DropPeer("new"))
	if got, _ := db.KnownPeers(1); got[0].ID == "new" {
		t.Error("the peer is still known")
	}
	if got, err := db.KnownPeers(-1); len(got) != 0 || err != nil {
		t.Errorf("a negative limit gives %d peers, %v", len(got), err)
	}
}

func TestReadersDoNotWaitForAWriter(t *testing.T) {
	db := openDB(t)
	must(t, db.SaveSnapshot([]byte("x")))
	err := db.change("test", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`UPDATE singles SET body = x'79'`); err != nil {
			return err
		}
		b, _, err := db.Snapshot() // would hang or fail if readers needed the writer's lock
		if string(b) != "x" {
			t.Errorf("a reader sees %q before the commit", b)
		}
		return err
	})
	must(t, err)
}

func TestTimesKeepMicrosecondsAndZero(t *testing.T) {
	for _, at := range []time.Time{{}, noon, noon.Add(1234567 * time.Microsecond), time.Unix(-1, 0).UTC(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if got := fromDB(toDB(at)); !got.Equal(at) || got.IsZero() != at.IsZero() {
			t.Errorf("%s comes back as %s", at, got)
		}
	}
}

func TestIsOursKnowsTheMarkAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	must(t, db.PutValue("k", []byte("v")), db.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	other := bytes.Clone(whole)
	other[68] ^= 1
	for name, c := range map[string]struct {
		body []byte
		want bool
	}{"ours": {whole, true}, "another program's": {other, false}, "empty": {nil, false}, "cut short": {whole[:71], false}, "no database": {make([]byte, 4096), false}} {
		if got := IsOurs(bytes.NewReader(c.body)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
