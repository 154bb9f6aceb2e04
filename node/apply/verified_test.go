//go:build unix

package apply

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// The refusals of the role's own verification that no other test meets.

func TestRoleRefusesWhatItCannotVerify(t *testing.T) {
	ctx := context.Background()
	_, p, _, id := withFaults(t)
	if _, err := p.role.Do(ctx, id, Order(9)); err == nil || p.hands.changes()+p.hands.looks != 0 {
		t.Errorf("an order that there is not: %v", err)
	}
	// Documents that are whole on disk and do not verify: the folder was swapped for another one.
	o, p, f, id := withFaults(t)
	stolen := o.trust.Files()
	stolen.Targets = newOrg(t, "evil").trust.Files().Targets
	f.Trust = &keptFiles{files: stolen}
	_, err := p.role.Do(ctx, id, Install)
	if err == nil || p.hands.changes() != 0 {
		t.Errorf("documents that do not verify: %v, %d changes", err, p.hands.changes())
	}
	if err := NewClient(p.sock, o).OfferMetadata(ctx); err == nil {
		t.Error("an offer was judged by documents that do not verify")
	}
}

func TestMachineWithItsRootAloneHasNothingToDescribe(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.role.cfg.Trust = &keptFiles{files: policy.Files{Root: o.trust.Files().Root}}
	nobody := func(Need) ([]byte, error) { t.Error("something was asked for"); return nil, nil }
	if err := p.role.OfferMetadata(nil, nobody, nil); err != nil {
		t.Errorf("nothing was offered: %v", err)
	}
	if _, err := p.role.Do(context.Background(), o.update("u", body(10, 1)), Install); err == nil {
		t.Error("an install without approvals")
	}
}

// Whoever holds the head's key can make heads for ever; what stands under them ends all the same.
func TestNewHeadDoesNotProlongWhatHasExpired(t *testing.T) {
	o := newOrg(t, "acme")
	year := 365 * 24 * time.Hour
	o.keys.Online.Life = policy.Life{Timestamp: 2 * year, Snapshot: 2 * year}
	p := newProcess(t, o)
	epoch := o.trust.Epoch()
	f, err := o.trust.Publish(nil, nil, o.keys.Online, o.now)
	if err != nil {
		t.Fatal(err)
	}
	o.open(f)
	p.setNow(o.now.Add(year))
	ask := func(n Need) ([]byte, error) { return o.docs[n.ID], nil }
	wantRefused(t, "a new head over old documents", p.role.OfferMetadata(o.Head(), ask, nil), policy.ReasonTrustStale)
	if s, err := p.role.Status(); err != nil || s.Epoch != epoch || !s.Stale {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestFailedInstallIsNotedAsFailed(t *testing.T) {
	o, p, f, id := withFaults(t)
	f.Shelf = gone{f.Shelf}
	_, err := p.role.Do(context.Background(), id, Install)
	if err == nil || p.hands.changes() != 0 {
		t.Fatalf("%v, %d changes", err, p.hands.changes())
	}
	b, rerr := os.ReadFile(filepath.Join(p.dir, "journal"))
	if rerr != nil || !bytes.Contains(b, []byte("failed: ")) || o == nil {
		t.Fatalf("journal: %s, %v", b, rerr)
	}
}

// descriptors that are no descriptors, and a net side that breaks off.
func TestOffersThatBreakOffOrLieLeaveTheApprovals(t *testing.T) {
	o, p, f, _ := withFaults(t)
	before := o.trust.Epoch()
	body := []byte(`{"not":"a descriptor"}`)
	id := content.Sum(body)
	o.docs[id] = body
	o.publish(func(m *policy.Manifest) {
		m.Approvals = append(m.Approvals, policy.Approval{Update: "odd", Revision: 1, Descriptor: id, DescriptorBytes: len(body), Group: policy.GroupAll, Action: policy.ActionInstall, At: o.now})
	})
	if err := p.role.OfferMetadata(o.Head(), func(Need) ([]byte, error) { return nil, errBroken }, nil); !errors.Is(err, errBroken) {
		t.Errorf("a caller that breaks off: %v", err)
	}
	if s, err := p.role.Status(); err != nil || s.Epoch != before {
		t.Fatalf("%+v, %v", s, err)
	}
	ask := func(n Need) ([]byte, error) { return o.docs[n.ID], nil }
	keep := func(content.ID, []byte) error { t.Error("it was kept"); return nil }
	wantRefused(t, "what is no descriptor", p.role.OfferMetadata(o.Head(), ask, keep), policy.ReasonTrustBadSignature)
	o.publish(func(m *policy.Manifest) { m.Approvals = nil })
	asked := false
	err := p.role.OfferMetadata(o.Head(), func(n Need) ([]byte, error) {
		f.load, asked = true, true // the disk fails while the offer is under way
		return o.docs[n.ID], nil
	}, keep)
	if !asked || !errors.Is(err, errBroken) {
		t.Errorf("a disk that fails meanwhile: %v", err)
	}
}

// gone is a shelf whose payload has gone since it was looked at.
type gone struct{ Shelf }

func (gone) Open(*policy.Descriptor) (io.ReadCloser, error) { return nil, errBroken }

// breaking is a connection that fails at one point.
type breaking struct {
	script
	read, write, deadline bool
}

func (b breaking) Write(p []byte) (int, error) {
	if b.write {
		return 0, net.ErrClosed
	}
	return len(p), nil
}

func (b breaking) SetReadDeadline(time.Time) error {
	if b.read {
		return net.ErrClosed
	}
	return nil
}

func (b breaking) SetWriteDeadline(time.Time) error {
	if b.deadline {
		return net.ErrClosed
	}
	return nil
}

func TestBrokenConnectionsChangeNothing(t *testing.T) {
	o, p, _, id := withFaults(t)
	p.cfg.Shelf.drop(id)
	head := o.Head()
	offer := append(request{verb: verbMetadata, length: uint64(len(head))}.encode(), head...)
	for name, c := range map[string]breaking{
		"no time limit for reading":   {script: script{bytes.NewReader(offer)}, read: true},
		"no time limit for writing":   {script: script{bytes.NewReader(request{verb: verbObject, id: id}.encode())}, deadline: true},
		"closed before the head":      {script: script{bytes.NewReader(offer[:requestBytes])}},
		"closed before the payload":   {script: script{bytes.NewReader(request{verb: verbObject, id: id}.encode())}, write: true},
		"closed in the payload":       {script: script{bytes.NewReader(append(request{verb: verbObject, id: id}.encode(), 1, 2, 3))}},
		"closed before the documents": {script: script{bytes.NewReader(offerOf(o))}, write: true},
	} {
		if err := p.answer(context.Background(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if s, err := p.role.Status(); err != nil || s.Epoch != o.trust.Epoch()-1 || p.hands.changes() != 0 || p.cfg.Shelf.has(id) {
		t.Errorf("%+v, %v", s, err)
	}
	if err := writeDocument(breaking{write: true}, []byte("x"), true); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// offerOf is an offer of something newer.
func offerOf(o *org) []byte {
	o.publish(func(m *policy.Manifest) { m.Approvals = nil })
	return append(request{verb: verbMetadata, length: uint64(len(o.Head()))}.encode(), o.Head()...)
}

// The staging folder is root's own; still nothing that is wrong there passes for the approved bytes.
func TestShelfGivesNothingThatIsNotWhatItsNameSays(t *testing.T) {
	o, p, _, id := withFaults(t)
	shelf := p.cfg.Shelf
	path := filepath.Join(p.dir, "shelf", descriptorName(id))
	if shelf.Describe(id) == nil {
		t.Fatal("the descriptor is not here")
	}
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	shelf.decoded.keepOnly(func(content.ID) bool { return false }) // as a process that begins
	if shelf.Describe(id) != nil {
		t.Error("a torn descriptor is read")
	}
	words := []byte("words")
	if err := shelf.keepDescriptor(content.Sum(words), words); err != nil {
		t.Fatal(err)
	}
	if shelf.Describe(content.Sum(words)) != nil {
		t.Error("words are a descriptor")
	}
	d, err := policy.DecodeDescriptor(o.docs[id])
	if err != nil {
		t.Fatal(err)
	}
	objects := filepath.Join(p.dir, "shelf", objectDir)
	if err := errors.Join(os.RemoveAll(objects), os.WriteFile(objects, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := shelf.take(d, bytes.NewReader(o.loads[id])); err == nil || shelf.has(id) {
		t.Errorf("a payload was staged where there is no folder: %v", err)
	}
	if r, err := shelf.Open(d); err == nil {
		_ = r.Close()
		t.Error("it opens")
	}
	if err := shelf.room(d); err != nil {
		t.Errorf("the folder is not made anew: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(p.dir, "shelf", objectName(id), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := shelf.take(d, bytes.NewReader(o.loads[id])); err == nil {
		t.Error("a payload was put over a folder")
	}
}

// broken is a socket that was taken away.
type broken struct{ net.Listener }

func (broken) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (broken) Close() error              { return nil }

func TestServerEndsWhenItsSocketIsTakenAway(t *testing.T) {
	p := newProcess(t, newOrg(t, "acme"))
	if err := p.Serve(t.Context(), broken{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// What is outrun by something newer must not replace it.
func TestOfferThatWasOutrunByANewerOneIsRefused(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	plain := func(n Need) ([]byte, error) { return o.docs[n.ID], nil }
	keep := func(content.ID, []byte) error { return nil }
	o.approve("third", body(100, 5), "office", policy.ActionInstall)
	older, outrun := o.Head(), false
	newer := func(n Need) ([]byte, error) {
		if !outrun {
			outrun = true
			o.approve("fourth", body(100, 6), "office", policy.ActionInstall)
			if err := p.role.OfferMetadata(o.Head(), plain, keep); err != nil {
				t.Fatal(err)
			}
		}
		return plain(n)
	}
	wantRefused(t, "an older head", p.role.OfferMetadata(older, newer, keep), policy.ReasonTrustRollbackEpoch)
	if s, err := p.role.Status(); err != nil || s.Epoch != o.trust.Epoch() {
		t.Errorf("%+v, %v", s, err)
	}
}

// A refusal always has a reason, also where a window closed while the order was under way.
func TestRefusedOrdersHaveAReason(t *testing.T) {
	for want, v := range map[policy.Reason]policy.Verdict{
		policy.ReasonPolicyHold:     {Reason: policy.ReasonPolicyHold},
		policy.ReasonPolicyDeferred: {Await: policy.StateWaitingWindow},
		policy.ReasonPolicyDeclined: {},
	} {
		if got := because(v); got != want {
			t.Errorf("%+v: %s, want %s", v, got, want)
		}
	}
}

// stepping hands tell of a step before they change anything.
type stepping struct{ recorder }

func (h *stepping) Install(ctx context.Context, d *policy.Descriptor, open func() (io.ReadCloser, error), step func(string) error) (Outcome, error) {
	if err := step("kept"); err != nil {
		return Outcome{}, err
	}
	return h.recorder.Install(ctx, d, open, step)
}

// forgetful is a journal that cannot be written any more once something has begun.
type forgetful struct{ Journal }

func (forgetful) JournalStep(string, int, string, time.Time) error { return errBroken }

// A step that cannot be noted is not taken: after a crash nobody would know of it.
func TestInstallStopsAtAStepThatCannotBeNoted(t *testing.T) {
	for name, broken := range map[string]bool{"noted": false, "not noted": true} {
		o := newOrg(t, "acme")
		id := o.approve("u", body(900, 1), "office", policy.ActionInstall)
		p := newProcess(t, o)
		if err := p.cfg.Shelf.keepDescriptor(id, o.docs[id]); err != nil {
			t.Fatal(err)
		}
		d, err := policy.DecodeDescriptor(o.docs[id])
		if err != nil {
			t.Fatal(err)
		}
		if err := p.cfg.Shelf.take(d, bytes.NewReader(o.loads[id])); err != nil {
			t.Fatal(err)
		}
		h := &stepping{recorder{installed: map[policy.UpdateID][]byte{}}}
		p.role.cfg.Hands = h
		if broken {
			p.role.cfg.Journal = forgetful{p.role.cfg.Journal}
		}
		_, err = p.role.Do(t.Context(), id, Install)
		if (err != nil) != broken || (h.changes() == 0) != broken {
			t.Errorf("%s: %v, %d changes", name, err, h.changes())
		}
	}
}
