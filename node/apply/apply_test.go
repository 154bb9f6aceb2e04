package apply

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

func TestOfferedUpdateIsInstalledLookedForAndRemoved(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	c := NewClient(p.sock, o)
	ctx := context.Background()
	want := body(700_000, 1)
	id := o.approve("u1", want, "office", policy.ActionInstall) // after the process began: it learns of it
	if out, err := c.Do(ctx, id, Detect); err != nil || out.Present {
		t.Fatalf("before: %+v, %v", out, err)
	}
	if _, err := c.Do(ctx, id, Install); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.hands.installed["u1"], want) {
		t.Fatalf("%d bytes were installed, want %d", len(p.hands.installed["u1"]), len(want))
	}
	if out, err := c.Do(ctx, id, Detect); err != nil || !out.Present {
		t.Fatalf("after: %+v, %v", out, err)
	}
	if left, err := os.ReadDir(filepath.Join(p.dir, "shelf", objectDir)); err != nil || len(left) != 0 {
		t.Errorf("the staged payload stays after it was installed: %v, %v", left, err)
	}
	_, err := c.Do(ctx, id, Remove)
	wantRefused(t, "removal of what is approved for installation", err, policy.ReasonPolicyDeclined)
	o.publish(func(m *policy.Manifest) { m.Approvals[0].Action = policy.ActionRemove })
	if _, err := c.Do(ctx, id, Remove); err != nil || p.hands.removes != 1 {
		t.Fatalf("%d removals, %v", p.hands.removes, err)
	}
	s, err := c.Status(ctx)
	if err != nil || s.Org != "acme" || s.Epoch != o.trust.Epoch() || s.Machine != "till-3" {
		t.Fatalf("status %+v, %v", s, err)
	}
}

// Every case is a caller that is the right user and speaks the protocol, but asks for what approvers
// have not signed for this machine now.
func TestOrdersThatNobodySignedAreRefused(t *testing.T) {
	ctx := context.Background()
	type world struct {
		o *org
		p *process
		c *Client
	}
	for name, c := range map[string]struct {
		run    func(t *testing.T, w world) error
		reason policy.Reason
	}{
		"an update that was never approved": {func(_ *testing.T, w world) error {
			_, err := w.c.Do(ctx, w.o.update("evil", body(1000, 9)), Install)
			return err
		}, policy.ReasonPeerNoneHolds},
		"an unapproved update whose description is smuggled in": {func(t *testing.T, w world) error {
			id := w.o.update("evil", body(1000, 9))
			if err := w.p.cfg.Shelf.keepDescriptor(id, w.o.docs[id]); err != nil {
				t.Fatal(err)
			}
			_, err := w.p.role.Do(ctx, id, Install)
			return err
		}, policy.ReasonPolicyDeclined},
		"another descriptor of an approved update": {func(t *testing.T, w world) error {
			w.o.approve("u1", body(1000, 2), "office", policy.ActionInstall)
			if err := w.c.OfferMetadata(ctx); err != nil {
				t.Fatal(err)
			}
			evil := w.o.update("u1", body(1000, 9)) // same update, same revision, other bytes
			if err := w.p.cfg.Shelf.keepDescriptor(evil, w.o.docs[evil]); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, "its payload", w.c.OfferObject(ctx, evil), policy.ReasonPolicyDeclined)
			_, err := w.p.role.Do(ctx, evil, Install)
			return err
		}, policy.ReasonPolicyDeclined},
		"a descriptor that is not the one that was signed": {func(_ *testing.T, w world) error {
			id := w.o.approve("u1", body(1000, 2), "office", policy.ActionInstall)
			evil := w.o.update("u1", body(1000, 9))
			w.o.docs[id] = w.o.docs[evil]
			_, err := w.c.Do(ctx, id, Install)
			return err
		}, policy.ReasonTrustBadSignature},
		"approved for another group": {func(_ *testing.T, w world) error {
			_, err := w.c.Do(ctx, w.o.approve("servers-only", body(1000, 2), "servers", policy.ActionInstall), Install)
			return err
		}, policy.ReasonPeerNoneHolds},
		"approved to be looked for only": {func(_ *testing.T, w world) error {
			_, err := w.c.Do(ctx, w.o.approve("look", body(1000, 2), "office", policy.ActionDetectOnly), Install)
			return err
		}, policy.ReasonPolicyDeclined},
		"held": {func(_ *testing.T, w world) error {
			id := w.o.approve("held", body(1000, 2), "office", policy.ActionInstall)
			w.o.publish(func(m *policy.Manifest) {
				m.Holds = append(m.Holds, policy.Hold{ID: "h-1", Update: "held", Kind: "pause", Reason: "because", At: w.o.now})
			})
			_, err := w.c.Do(ctx, id, Install)
			return err
		}, policy.ReasonPolicyHold},
		"withdrawn": {func(t *testing.T, w world) error {
			id := w.o.approve("gone", body(1000, 2), "office", policy.ActionInstall)
			if err := errors.Join(w.c.OfferMetadata(ctx), w.c.OfferObject(ctx, id)); err != nil {
				t.Fatal(err)
			}
			w.o.publish(func(m *policy.Manifest) { m.Approvals = nil })
			_, err := w.c.Do(ctx, id, Install)
			return err
		}, policy.ReasonPeerNoneHolds},
		"not yet available": {func(_ *testing.T, w world) error {
			id := w.o.update("later", body(1000, 2))
			w.o.publish(func(m *policy.Manifest) {
				a := w.o.approval(id, policy.GroupAll, policy.ActionInstall)
				a.NotBefore = w.o.now.Add(time.Hour)
				m.Approvals = append(m.Approvals, a)
			})
			_, err := w.c.Do(ctx, id, Install)
			return err
		}, policy.ReasonPolicyDeferred},
		"the approvals have expired": {func(t *testing.T, w world) error {
			id := w.o.approve("stale", body(1000, 2), "office", policy.ActionInstall)
			if err := errors.Join(w.c.OfferMetadata(ctx), w.c.OfferObject(ctx, id)); err != nil {
				t.Fatal(err)
			}
			w.p.setNow(w.o.trust.ExpiresAt().Add(time.Second))
			_, err := w.p.role.Do(ctx, id, Install)
			return err
		}, policy.ReasonTrustStale},
		"an expired head is offered": {func(_ *testing.T, w world) error {
			w.o.approve("stale", body(1000, 2), "office", policy.ActionInstall)
			w.p.setNow(w.o.trust.ExpiresAt().Add(time.Second))
			return w.c.OfferMetadata(ctx)
		}, policy.ReasonTrustStale},
		"documents of another organisation": {func(t *testing.T, w world) error {
			evil := newOrg(t, "evil")
			evil.approve("evil", body(1000, 2), policy.GroupAll, policy.ActionInstall)
			return NewClient(w.p.sock, evil).OfferMetadata(ctx)
		}, policy.ReasonTrustBadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrg(t, "acme")
			o.approve("base", body(100, 3), "office", policy.ActionInstall)
			p := newProcess(t, o)
			p.serve(t)
			err := c.run(t, world{o, p, NewClient(p.sock, o)})
			wantRefused(t, name, err, c.reason)
			if p.hands.changes() != 0 {
				t.Errorf("%d changes were made", p.hands.changes())
			}
		})
	}
}

func TestHeadOlderThanTheFloorIsRefusedAlsoAfterARestart(t *testing.T) {
	o := newOrg(t, "acme")
	id := o.approve("u1", body(5000, 1), "office", policy.ActionInstall)
	old := *o
	o.publish(func(m *policy.Manifest) { m.Approvals = nil }) // the approvers have withdrawn it
	p := newProcess(t, o)
	p.serve(t)
	c := NewClient(p.sock, &old)
	wantRefused(t, "older head", c.OfferMetadata(context.Background()), policy.ReasonTrustRollbackEpoch)
	_, err := c.Do(context.Background(), id, Install)
	wantRefused(t, "order on older approvals", err, policy.ReasonTrustRollbackEpoch)
	again := NewRole(p.role.cfg) // nothing is remembered but what is on disk
	s, err := again.Status()
	if err != nil || s.Head != o.trust.HeadVersion() || p.hands.changes() != 0 {
		t.Fatalf("%+v, %v, %d changes", s, err, p.hands.changes())
	}
}

func TestDamagedDocumentsRefuseEverythingAndAreNotReset(t *testing.T) {
	o := newOrg(t, "acme")
	id := o.approve("u1", body(5000, 1), "office", policy.ActionInstall)
	p := newProcess(t, o)
	p.serve(t)
	files, err := filepath.Glob(filepath.Join(p.dir, "trust", "v*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := NewClient(p.sock, o)
	for _, want := range []Order{Detect, Install, Remove} {
		if _, err := c.Do(context.Background(), id, want); err == nil {
			t.Errorf("%s with damaged documents was carried out", want)
		}
	}
	if _, err := p.trust.Load(); err == nil {
		t.Error("the damaged documents were replaced by offered ones")
	}
	if p.hands.changes()+p.hands.looks != 0 {
		t.Error("something was done")
	}
}

// lying gives other bytes than those that were signed.
type lying struct {
	*org
	payload []byte
}

func (l lying) Payload(content.ID) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(l.payload)), int64(len(l.payload)), nil
}

func TestWrongBytesAreNeverInstalled(t *testing.T) {
	o := newOrg(t, "acme")
	good := body(300_000, 1)
	id := o.approve("u1", good, "office", policy.ActionInstall)
	p := newProcess(t, o)
	p.serve(t)
	flipped := bytes.Clone(good)
	flipped[200_000] ^= 1
	for name, b := range map[string][]byte{
		"one bit flipped": flipped, "cut short": good[:len(good)-1], "empty": {}, "other bytes in front": append([]byte{0}, good[:len(good)-1]...),
	} {
		_, err := NewClient(p.sock, lying{o, b}).Do(context.Background(), id, Install)
		wantRefused(t, name, err, policy.ReasonTrustBadChunk)
		var e *Error
		if errors.As(err, &e) && !e.Corrupt {
			t.Errorf("%s: not told as corrupt: %+v", name, e)
		}
		if p.hands.changes() != 0 {
			t.Fatalf("%s: was installed", name)
		}
	}
	// Bytes behind the payload are not read: what is installed is the payload.
	if _, err := NewClient(p.sock, lying{o, append(bytes.Clone(good), "rm -rf /"...)}).Do(context.Background(), id, Install); err == nil {
		if !bytes.Equal(p.hands.installed["u1"], good) {
			t.Error("the bytes behind the payload were installed")
		}
	}
	if left, err := filepath.Glob(filepath.Join(p.dir, "shelf", objectDir, "*.part")); err != nil || len(left) != 0 {
		t.Errorf("left on the shelf: %v, %v", left, err)
	}
}

// A payload whose hash was right once and that was changed on the shelf afterwards would need root;
// the lock on the second door is the installer's hash. Here: the shelf is private.
func TestShelfThatOthersCanReachIsRefused(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("access lists, not modes")
	}
	dir := filepath.Join(t.TempDir(), "shelf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o755, 0o770, 0o702, 0o710} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if f, err := OpenFolder(dir, nil); err == nil {
			_ = f.Close()
			t.Errorf("mode %o was accepted", mode)
		}
	}
	link := filepath.Join(filepath.Dir(dir), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if f, err := OpenFolder(link, nil); err == nil {
		_ = f.Close()
		t.Error("a link was accepted")
	}
}

func TestOnlyTheNetUserAndRootMaySpeak(t *testing.T) {
	o := newOrg(t, "acme")
	id := o.approve("u1", body(5000, 1), "office", policy.ActionInstall)
	p := newProcess(t, o)
	p.serve(t)
	c := NewClient(p.sock, o)
	for _, uid := range []int{1, 1000, allowedUID + 1, 65534, -1} {
		p.mu.Lock()
		p.uid = uid
		p.mu.Unlock()
		if _, err := c.Do(context.Background(), id, Install); err == nil {
			t.Errorf("uid %d was obeyed", uid)
		}
		if _, err := c.Status(context.Background()); err == nil {
			t.Errorf("uid %d was answered", uid)
		}
	}
	if p.hands.changes() != 0 || !strings.Contains(p.logged(), "caller refused") || !strings.Contains(p.logged(), "uid 1000") {
		t.Errorf("%d changes; log: %s", p.hands.changes(), p.logged())
	}
	for _, uid := range []int{0, allowedUID} {
		p.mu.Lock()
		p.uid = uid
		p.mu.Unlock()
		if _, err := c.Status(context.Background()); err != nil {
			t.Errorf("uid %d: %v", uid, err)
		}
	}
}

func TestTooManyConnectionsAreClosedAndTheRestStillWork(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	var idle []net.Conn
	for range maxConns {
		c, err := net.Dial("unix", p.sock)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	extra, err := net.Dial("unix", p.sock)
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	_ = extra.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := extra.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("one connection too many: %v, want it closed", err)
	}
	_ = idle[1].SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := idle[1].Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a connection within the number: %v, want it open: the other was closed for its own sake", err)
	}
	_ = idle[0].Close()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the server sees the end in its own time
		if _, err = NewClient(p.sock, o).Status(context.Background()); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestRequestsHaveOneForm(t *testing.T) {
	id := content.Sum([]byte("x"))
	for _, q := range []request{
		{verb: verbMetadata, length: 10}, {verb: verbObject, id: id}, {verb: verbSchedule, id: id, order: Remove}, {verb: verbStatus},
	} {
		b := q.encode()
		if got, err := decodeRequest(b); err != nil || got != q {
			t.Errorf("%+v came back as %+v, %v", q, got, err)
		}
		for _, i := range []int{0, 3, 6, 7} {
			bad := bytes.Clone(b)
			bad[i] ^= 1
			if _, err := decodeRequest(bad); err == nil {
				t.Errorf("%+v with byte %d changed was taken", q, i)
			}
		}
	}
	for name, q := range map[string]request{
		"no verb": {}, "a fifth verb": {verb: 5, id: id}, "a huge head": {verb: verbMetadata, length: policy.MaxTimestampBytes + 1},
		"no head": {verb: verbMetadata}, "metadata with an order": {verb: verbMetadata, length: 1, order: Install}, "no name": {verb: verbSchedule, order: Install},
		"no order": {verb: verbSchedule, id: id}, "a fourth order": {verb: verbSchedule, id: id, order: 4}, "an object with a length": {verb: verbObject, id: id, length: 1},
		"status of something": {verb: verbStatus, id: id},
	} {
		if got, err := decodeRequest(q.encode()); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestJournalTellsWhatACrashCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, open, err := OpenJournal(path)
	if err != nil || len(open) != 0 {
		t.Fatalf("%v, %v", open, err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, u := range []string{"a", "b", "b"} {
		if err := j.JournalBegin(u, 1, "install", at); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.JournalEnd("a", 1, "done", at); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"at":"2026-`) // torn by the crash
	_ = f.Close()
	j, open, err = OpenJournal(path)
	if err != nil || len(open) != 1 || open[0].Update != "b" || open[0].Step != "install" {
		t.Fatalf("%+v, %v", open, err)
	}
	if err := j.JournalEnd("b", 1, "done", at); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	if j, open, err = OpenJournal(path); err != nil || len(open) != 0 {
		t.Fatalf("after its end: %+v, %v", open, err)
	}
	_ = j.Close()
}

func TestEnrolmentIsReadStrictly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "machine.json")
	if _, err := LoadEnrolment(path); !errors.Is(err, ErrNotEnrolled) {
		t.Fatalf("no file: %v", err)
	}
	want := Enrolment{Format: 1, Org: "acme", ID: "12D3", Name: "till-3", Site: "main", Groups: []string{"office"}, Root: "bafk"}
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := LoadEnrolment(path)
	if err != nil || got.Name != want.Name || got.Groups[0] != "office" {
		t.Fatalf("%+v, %v", got, err)
	}
	if fi, _ := os.Stat(path); os.PathSeparator == '/' && fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", fi.Mode())
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"empty": "", "no json": "hello", "another field": strings.Replace(string(good), `"org"`, `"root_dir"`, 1),
		"a group that is a path": strings.Replace(string(good), `"office"`, `"../x"`, 1), "another format": strings.Replace(string(good), `"format": 1`, `"format": 2`, 1),
		"more behind it": string(good) + "{}", "huge": string(good) + strings.Repeat(" ", maxEnrolment),
	} {
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if e, err := LoadEnrolment(path); err == nil || errors.Is(err, ErrNotEnrolled) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// told is a payload that wants to hear what the role found.
type told struct {
	io.Reader
	matched, rechecked int
	found              error
}

func (*told) Close() error     { return nil }
func (r *told) Matched()       { r.matched++ }
func (r *told) Recheck() error { r.rechecked++; return r.found }

// telling offers one such payload.
type telling struct {
	*org
	r    *told
	size int64
}

func (s telling) Payload(content.ID) (io.ReadCloser, int64, error) { return s.r, s.size, nil }

// The net side reads its store without hashing and relies on the role: it must hear how the hash came out.
func TestTheRoleTellsHowTheHashOfAnOfferedPayloadCameOut(t *testing.T) {
	o := newOrg(t, "acme")
	good := body(300_000, 1)
	id := o.approve("u1", good, "office", policy.ActionInstall)
	p := newProcess(t, o)
	p.serve(t)
	bad := bytes.Clone(good)
	bad[200_000] ^= 1
	r := &told{Reader: bytes.NewReader(bad), found: content.ErrDamaged}
	_, err := NewClient(p.sock, telling{o, r, int64(len(bad))}).Do(context.Background(), id, Install)
	wantRefused(t, "wrong bytes", err, policy.ReasonTrustBadChunk)
	if !errors.Is(err, content.ErrDamaged) || r.rechecked != 1 || r.matched != 0 {
		t.Errorf("wrong bytes: %v, %d rechecks, %d times told that they match", err, r.rechecked, r.matched)
	}
	r = &told{Reader: bytes.NewReader(good)}
	if _, err := NewClient(p.sock, telling{o, r, int64(len(good))}).Do(context.Background(), id, Install); err != nil || r.rechecked != 0 || r.matched != 1 {
		t.Errorf("right bytes: %v, %d rechecks, %d times told that they match", err, r.rechecked, r.matched)
	}
}
