package apply

import (
	"bytes"
	"context"
	"encoding/json"
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

var errBroken = errors.New("the disk is broken")

// faulty stands before a part of the role and fails where it is told to.
type faulty struct {
	Trust
	Journal
	Shelf
	load, save, begin, end bool
	describe               func(content.ID) *policy.Descriptor
}

func (f *faulty) Load() (policy.Files, error) {
	if f.load {
		return policy.Files{}, errBroken
	}
	return f.Trust.Load()
}

func (f *faulty) Save(x policy.Files) error {
	if f.save {
		return errBroken
	}
	return f.Trust.Save(x)
}

func (f *faulty) JournalBegin(u string, r int, s string, at time.Time) error {
	if f.begin {
		return errBroken
	}
	return f.Journal.JournalBegin(u, r, s, at)
}

func (f *faulty) JournalEnd(u string, r int, s string, at time.Time) error {
	if f.end {
		return errBroken
	}
	return f.Journal.JournalEnd(u, r, s, at)
}

func (f *faulty) Describe(id content.ID) *policy.Descriptor {
	if f.describe != nil {
		return f.describe(id)
	}
	return f.Shelf.Describe(id)
}

// withFaults is a process that knows an approved update whose payload lies ready.
func withFaults(t *testing.T) (*org, *process, *faulty, content.ID) {
	t.Helper()
	o := newOrg(t, "acme")
	id := o.approve("u1", body(5000, 1), "office", policy.ActionInstall)
	p := newProcess(t, o)
	p.serve(t)
	c := NewClient(p.sock, o)
	if err := errors.Join(c.OfferMetadata(context.Background()), c.OfferObject(context.Background(), id)); err != nil {
		t.Fatal(err)
	}
	f := &faulty{Trust: p.role.cfg.Trust, Journal: p.role.cfg.Journal, Shelf: p.role.cfg.Shelf}
	p.role.cfg.Trust, p.role.cfg.Journal, p.role.cfg.Shelf = f, f, f
	return o, p, f, id
}

func TestNothingIsBegunThatCannotBeNoted(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		fail    func(*faulty)
		changes int
	}{
		"documents cannot be read": {func(f *faulty) { f.load = true }, 0},
		"the journal is full":      {func(f *faulty) { f.begin = true }, 0},
		"the end cannot be noted":  {func(f *faulty) { f.end = true }, 1},
	} {
		_, p, f, id := withFaults(t)
		c.fail(f)
		_, err := p.role.Do(ctx, id, Install)
		wantRefused(t, name, err, policy.ReasonDiskError)
		if !errors.Is(err, errBroken) || p.hands.changes() != c.changes {
			t.Errorf("%s: %v, %d changes, want %d", name, err, p.hands.changes(), c.changes)
		}
		if _, err := p.role.Status(); f.load && err == nil {
			t.Errorf("%s: status tells something", name)
		}
	}
}

func TestApprovalsThatCannotBeSavedAreNotBelieved(t *testing.T) {
	o, p, f, _ := withFaults(t)
	f.save = true
	id := o.approve("u2", body(100, 1), "office", policy.ActionInstall)
	c := NewClient(p.sock, o)
	wantRefused(t, "an offer", c.OfferMetadata(context.Background()), policy.ReasonDiskError)
	if _, err := c.Do(context.Background(), id, Install); err == nil || p.hands.changes() != 0 {
		t.Errorf("%v, %d changes", err, p.hands.changes())
	}
}

// A shelf that gives one update's description for another's name is the disk's or an attacker's doing.
func TestDescriptionUnderAnotherNameIsRefused(t *testing.T) {
	o, p, f, id := withFaults(t)
	other, err := policy.DecodeDescriptor(o.docs[o.update("u1", body(700, 8))])
	if err != nil {
		t.Fatal(err)
	}
	f.describe = func(content.ID) *policy.Descriptor { return other }
	_, err = p.role.Do(context.Background(), id, Install)
	wantRefused(t, "a swapped description", err, policy.ReasonTrustBadSignature)
	f.describe = func(content.ID) *policy.Descriptor { return nil }
	_, err = p.role.Do(context.Background(), id, Detect)
	wantRefused(t, "no description", err, policy.ReasonPeerNoneHolds)
	if p.hands.changes()+p.hands.looks != 0 {
		t.Error("something was done")
	}
}

// Nor is it looked at for another update that needs it: who can put a description on the shelf must not say what is there.
func TestDescriptionUnderAnotherNameServesNoOther(t *testing.T) {
	o, p, f, _ := withFaults(t)
	base := o.approveSo("base", func(*policy.Descriptor) {})
	top := o.approveSo("top", func(d *policy.Descriptor) { d.Prerequisites = []policy.UpdateID{"base"} })
	c, ctx := NewClient(p.sock, o), context.Background()
	if _, err := c.Do(ctx, base, Install); err != nil { // it is on the machine
		t.Fatal(err)
	}
	if err := c.OfferObject(ctx, top); err != nil {
		t.Fatal(err)
	}
	forged := *f.Shelf.Describe(base)
	forged.Title = "another"
	f.describe = func(id content.ID) *policy.Descriptor {
		if id == base {
			return &forged
		}
		return f.Shelf.Describe(id)
	}
	looks := p.hands.looks
	_, err := p.role.Do(ctx, top, Install)
	wantRefused(t, "what needs a forged one", err, policy.ReasonDepOtherFirst)
	if p.hands.looks != looks {
		t.Error("the machine was asked by a forged description")
	}
}

// A hold that arrives while an order waits for its turn still stops it.
func TestHoldThatArrivesWhileAnOrderWaitsStopsIt(t *testing.T) {
	o, p, _, id := withFaults(t)
	c := NewClient(p.sock, o)
	p.role.work.Lock() // another installation is under way
	got := make(chan error, 1)
	go func() {
		_, err := p.role.Do(context.Background(), id, Install)
		got <- err
	}()
	o.publish(func(m *policy.Manifest) {
		m.Holds = append(m.Holds, policy.Hold{ID: "h-1", Update: "u1", Kind: "pause", Reason: "because", At: o.now})
	})
	if err := c.OfferMetadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	p.role.work.Unlock()
	wantRefused(t, "the order", <-got, policy.ReasonPolicyHold)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o.publish(func(m *policy.Manifest) { m.Holds = nil })
	if err := c.OfferMetadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.role.Do(ctx, id, Install); err == nil || p.hands.changes() != 0 {
		t.Errorf("an order whose caller has ended it: %v, %d changes", err, p.hands.changes())
	}
	if _, err := p.role.Do(context.Background(), id, 0); err == nil || p.hands.changes() != 0 {
		t.Errorf("no order at all: %v", err)
	}
}

func TestOfTwoOffersAtOnceTheSlowerBeginsAgain(t *testing.T) {
	o, p, _, _ := withFaults(t)
	slow := *o
	slow.approve("u2", body(100, 1), "office", policy.ActionInstall)
	asked := false
	err := p.role.OfferMetadata(slow.Head(), func(n Need) ([]byte, error) {
		if !asked { // meanwhile the other offer is taken
			asked = true
			if err := NewClient(p.sock, &slow).OfferMetadata(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if n.RootVersion > 0 {
			return nil, nil
		}
		return slow.docs[n.ID], nil
	}, p.cfg.Shelf.keepDescriptor)
	if err != nil { // it would cost the machine the wait before its next attempt
		t.Errorf("the slower offer: %v", err)
	}
	if s, err := p.role.Status(); err != nil || s.Head != slow.trust.HeadVersion() {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestMissingDocumentsAreNoHarm(t *testing.T) {
	o, p, f, _ := withFaults(t)
	id := o.approve("u2", body(100, 1), "office", policy.ActionInstall)
	c := NewClient(p.sock, o)
	manifest := content.Sum(o.trust.Files().Manifest)
	kept, desc := o.docs[manifest], o.docs[id]
	delete(o.docs, manifest)
	wantRefused(t, "an offer without its manifest", c.OfferMetadata(context.Background()), policy.ReasonPeerNoneHolds)
	o.docs[manifest] = kept
	delete(o.docs, id)
	if err := c.OfferMetadata(context.Background()); err != nil {
		t.Fatalf("a description that comes later: %v", err)
	}
	_, err := c.Do(context.Background(), id, Detect)
	wantRefused(t, "an order without it", err, policy.ReasonPeerNoneHolds)
	o.docs[id] = desc
	if _, err := c.Do(context.Background(), id, Detect); err != nil {
		t.Errorf("once it is there: %v", err)
	}
	f.describe = f.Shelf.Describe
	if err := p.role.OfferMetadata(o.Head(), func(Need) ([]byte, error) { return nil, errBroken }, nil); err != nil {
		t.Errorf("nothing is needed: %v", err)
	}
	next := *o
	next.publish(func(*policy.Manifest) {})
	err = p.role.OfferMetadata(next.Head(), func(Need) ([]byte, error) { return nil, errBroken }, nil)
	if !errors.Is(err, errBroken) {
		t.Errorf("a caller that breaks off: %v", err)
	}
}

func TestNewRootIsFollowedAndTheOldKeysEnd(t *testing.T) {
	o, p, _, _ := withFaults(t)
	thief := *o
	keys := o.keys
	keys.Online.Timestamp, keys.Online.Snapshot = signer(t, "new ts"), signer(t, "new snap")
	root, err := o.trust.NextRoot(keys, o.keys.Root, o.now)
	if err != nil {
		t.Fatal(err)
	}
	f, err := o.trust.PublishRoot(root, nil, nil, keys.Online, o.now)
	if err != nil {
		t.Fatal(err)
	}
	o.keys = keys
	o.open(f)
	if err := NewClient(p.sock, o).OfferMetadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	thief.publish(func(*policy.Manifest) {}) // with the old online keys
	if err := NewClient(p.sock, &thief).OfferMetadata(context.Background()); err == nil {
		t.Error("a head under the keys that the new root has ended was taken")
	}
	if tr, err := p.role.believed(); err != nil || tr.RootVersion() != 2 {
		t.Errorf("root %v, %v", tr, err)
	}
}

func TestMachineThatHasOnlyItsRootApprovesNothing(t *testing.T) {
	o, p, f, id := withFaults(t)
	if err := f.Trust.Save(policy.Files{Root: o.trust.Files().Root}); err != nil {
		t.Fatal(err)
	}
	_, err := p.role.Do(context.Background(), id, Install)
	wantRefused(t, "an order", err, policy.ReasonPolicyDeclined)
	p.tidy() // forgets nothing: nothing is known
	if p.cfg.Shelf.Describe(id) == nil {
		t.Error("descriptions were forgotten for want of a manifest")
	}
	if _, err := NewClient(p.sock, o).Do(context.Background(), id, Install); err != nil {
		t.Errorf("after the first offer: %v", err)
	}
}

func TestPayloadThatDoesNotFitIsRefusedBeforeItIsRead(t *testing.T) {
	o, p, _, _ := withFaults(t)
	id := o.approve("u2", body(50_000, 1), "office", policy.ActionInstall)
	p.cfg.Shelf.free = func() (int64, error) { return spareBytes + 49_999, nil }
	c := NewClient(p.sock, o)
	if err := c.OfferMetadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	err := c.OfferObject(context.Background(), id)
	wantRefused(t, "too large an object", err, policy.ReasonDiskShort)
	var e *Error
	if errors.As(err, &e); e.Facts["needed_bytes"] != 50_000+spareBytes || e.Facts["free_bytes"] != spareBytes+49_999 {
		t.Errorf("facts %v", e.Facts)
	}
	p.cfg.Shelf.free = func() (int64, error) { return spareBytes + 50_000, nil }
	if err := c.OfferObject(context.Background(), id); err != nil {
		t.Error(err)
	}
	if _, err := p.cfg.Shelf.Open(&policy.Descriptor{Update: "x"}); err == nil {
		t.Error("a payload that nobody offered was opened")
	}
}

func TestJournalTurnsOverAndGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, _, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	at := time.Now()
	long := strings.Repeat("x", maxStep+100)
	for i := range 2 * maxJournal / maxStep {
		if err := errors.Join(j.JournalBegin(name(i), 1, "install", at), j.JournalEnd(name(i), 1, long, at)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{path, path + ".1"} {
		if fi, err := os.Stat(f); err != nil || fi.Size() > maxJournal+maxJournal/4 {
			t.Errorf("%s: %v, %v", f, fi, err)
		}
	}
	_ = j.file.Close() // the disk goes away
	if err := j.JournalBegin("u", 1, "install", at); err == nil || !j.torn {
		t.Errorf("a line that was not written was acknowledged: %v", err)
	}
	if _, _, err := OpenJournal(t.TempDir()); err == nil {
		t.Error("a folder is no journal")
	}
}

func TestSecondProcessOnOneSocketIsRefused(t *testing.T) {
	_, p, _, _ := withFaults(t)
	if ln, err := Listen(p.sock, -1); err == nil {
		_ = ln.Close()
		t.Fatal("two processes on one socket")
	}
	path := filepath.Join(filepath.Dir(p.sock), "old")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // left by a process that has died
		t.Fatal(err)
	}
	ln, err := Listen(path, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if fi, err := os.Stat(path); os.PathSeparator == '/' && (err != nil || fi.Mode().Perm() != 0o660) {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if ln, err := Listen(filepath.Join(path, "x"), -1); err == nil {
		_ = ln.Close()
		t.Error("a socket below a file")
	}
}

// A net role has to bear with any apply process too, or with whatever answers in its place.
func TestClientRefusesWhatIsNoAnswer(t *testing.T) {
	dir, err := os.MkdirTemp("", "pa")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	says := make(chan []byte, 1)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(c, make([]byte, requestBytes))
			_, _ = c.Write(<-says)
			_ = c.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	o := newOrg(t, "acme")
	c := NewClient(ln.Addr().String(), o)
	need := func(n Need) []byte { return append(header(byte(kindNeed), needBytes), n.encode()...) }
	for name, b := range map[string][]byte{
		"nothing": {}, "half a header": {'D', 0}, "an odd kind": header('?', 0), "a huge answer": header(byte(kindDone), 1<<30),
		"a header that is not ours": {'D', 1, 0, 0, 0, 0, 0, 0}, "half an answer": append(header(byte(kindDone), 9), '{'),
		"an answer that is no JSON": append(header(byte(kindDone), 1), '{'), "a refusal without words": append(header(byte(kindRefused), 2), "{}"...),
		"a wish for a payload that was not offered": header(byte(kindGo), 0), "a need without a document": need(Need{MaxBytes: 1}),
		"a need of a huge document": need(Need{ID: content.Sum(nil), MaxBytes: 1 << 40}), "half a need": append(header(byte(kindNeed), 3), "abc"...),
	} {
		says <- b
		if err := c.OfferMetadata(context.Background()); err == nil {
			t.Errorf("%s was taken for an answer", name)
		}
	}
	_ = ln.Close()
	if _, err := c.Status(context.Background()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestOrderWaitsForAProcessThatIsStarting(t *testing.T) {
	o := newOrg(t, "acme")
	id := o.approve("u1", body(5000, 1), "office", policy.ActionInstall)
	p := newProcess(t, o)
	p.serve(t)
	later := p.sock + "2"
	c := NewClient(later, o)
	c.Patience = time.Minute
	got := make(chan error, 1)
	go func() {
		_, err := c.Do(context.Background(), id, Install)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(2 * retryAfter): // it has met a closed door meanwhile
	}
	if err := os.Rename(p.sock, later); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil || p.hands.installs != 1 {
		t.Errorf("%v, %d installs", err, p.hands.installs)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c = NewClient(later+"3", o)
	c.Patience = time.Hour
	if _, err := c.Do(ctx, id, Install); !errors.Is(err, ErrUnreachable) {
		t.Errorf("after the end of the node: %v", err)
	}
}

func TestErrorsFitIntoOneAnswer(t *testing.T) {
	e := &Error{Reason: policy.ReasonInstallerExit, What: strings.Repeat("\x1b[31m", 5000), Log: strings.Repeat("\x00", 1<<20)}
	var b bytes.Buffer
	if err := writeAnswer(&b, kindRefused, e.short()); err != nil {
		t.Fatal(err)
	}
	if b.Len() > maxBody+headerBytes || bytes.ContainsRune(b.Bytes(), 0x1b) {
		t.Errorf("%d bytes", b.Len())
	}
	if err := writeAnswer(&b, kindDone, strings.Repeat("x", maxBody)); err == nil {
		t.Error("an answer larger than allowed was sent")
	}
	if err := writeAnswer(&b, kindDone, func() {}); err == nil {
		t.Error("what is no JSON was sent")
	}
	if Order(9).String() == "" || json.Valid([]byte(Order(9).String())) {
		t.Error(Order(9).String())
	}
}
