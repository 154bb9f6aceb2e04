package control

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/peercred"
)

// fake answers with what it was asked.
type fake struct {
	api.Ceremony // not called here
	imported     []byte
}

func (f *fake) Status(_ context.Context, q api.StatusQuery) (*api.Fleet, error) {
	return &api.Fleet{Org: q.Machine, Machines: []api.Machine{}}, nil
}
func (f *fake) Explain(_ context.Context, u, m string) (*api.Explanation, error) {
	return nil, api.Errorf(api.ClassNotFound, "no %s on %s", u, m).WithHint("look elsewhere")
}
func (f *fake) Node(context.Context) (*api.NodeInfo, error) { return &api.NodeInfo{ID: "me"}, nil }
func (f *fake) Invite(_ context.Context, r api.InviteRequest) (*api.Invite, error) {
	return &api.Invite{Site: r.Site}, nil
}
func (f *fake) EnrolRequests(_ context.Context, q api.EnrolQuery) (*api.EnrolList, error) {
	return &api.EnrolList{Requests: []api.EnrolRequest{{ID: "r", State: map[bool]string{true: "all", false: "waiting"}[q.All]}}}, nil
}
func (f *fake) DecideEnrol(_ context.Context, d api.EnrolDecision) (*api.EnrolRequest, error) {
	return &api.EnrolRequest{ID: d.ID, State: map[bool]string{true: "accepted", false: "rejected"}[d.Accept]}, nil
}
func (f *fake) AnswerEnrol(_ context.Context, r api.SealedRequest) (*api.SealedAnswer, error) {
	return &api.SealedAnswer{Answer: r.Request, Status: "member"}, nil
}
func (f *fake) TrustLife(_ context.Context, r api.TrustLife) (*api.TrustLife, error) { return &r, nil }
func (f *fake) EnrolKeys(context.Context) (*api.EnrolKeys, error) {
	return &api.EnrolKeys{Keys: []api.EnrolKey{{ID: "k"}}}, nil
}
func (f *fake) ChangeEnrolKeys(_ context.Context, r api.EnrolKeyChange) (*api.EnrolKeys, error) {
	return &api.EnrolKeys{Withdrawn: []string{r.WithdrawKey}}, nil
}
func (f *fake) Import(_ context.Context, r api.ImportRequest, body io.Reader) (*api.Imported, error) {
	b, err := io.ReadAll(body)
	f.imported = b
	return &api.Imported{Update: r.ID, Title: r.Title}, err
}
func (f *fake) Approve(_ context.Context, r api.ApproveRequest) (*api.Published, error) {
	return &api.Published{Summary: r.Update}, nil
}
func (f *fake) Hold(_ context.Context, r api.HoldRequest) (*api.Published, error) {
	return &api.Published{Summary: r.Reason}, nil
}
func (f *fake) Release(_ context.Context, r api.ReleaseRequest) (*api.Published, error) {
	return &api.Published{Hold: r.Hold}, nil
}
func (f *fake) Sign(context.Context, api.SignRequest) (*api.Published, error) {
	return nil, io.ErrUnexpectedEOF
}

// serve starts a server and waits until it answers.
func (f *fake) Revoke(_ context.Context, r api.RevokeRequest) (*api.Revoked, error) {
	return &api.Revoked{ID: r.Machine, Reason: r.Reason, Undone: r.Undo}, nil
}

func (f *fake) Site(_ context.Context, r api.SiteRequest) (*api.Site, error) {
	return &api.Site{Site: r.Site, Prefixes: r.Prefixes}, nil
}

func (f *fake) SetWindow(_ context.Context, r api.WindowRequest) (*api.Published, error) {
	return &api.Published{Summary: r.Window.ID}, nil
}

func (f *fake) SetRings(_ context.Context, r api.RingsRequest) (*api.Published, error) {
	return &api.Published{Summary: r.Plan.Name}, nil
}

func (f *fake) Promote(_ context.Context, r api.PromoteRequest) (*api.Published, error) {
	return &api.Published{Summary: r.Update}, nil
}

func (f *fake) RecordEvidence(context.Context, api.EvidenceRequest) (*api.Evidence, error) {
	return &api.Evidence{}, nil
}

func (f *fake) Evidence(context.Context, api.EvidenceQuery) (*api.Evidence, error) {
	return &api.Evidence{}, nil
}

func (f *fake) Rings(context.Context, api.RingsQuery) (*api.Rings, error) { return &api.Rings{}, nil }

func (f *fake) SetSetting(_ context.Context, r api.SettingRequest) (*api.Published, error) {
	return &api.Published{Summary: r.Setting.Name}, nil
}

func (f *fake) Policy(_ context.Context, q api.PolicyQuery) (*api.Policy, error) {
	return &api.Policy{Machine: q.Machine}, nil
}

func (f *fake) Wish(_ context.Context, r api.WishRequest) (*api.WishTaken, error) {
	return &api.WishTaken{Update: r.Update, Accepted: r.Accept}, nil
}

func (f *fake) Windows(_ context.Context, q api.WindowsQuery) (*api.Windows, error) {
	return &api.Windows{Machine: q.Machine}, nil
}

func serve(t *testing.T, dir string, s api.Service) api.Service {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, Config{Dir: dir, Service: s, Who: peercred.Of, Log: slog.New(slog.DiscardHandler)})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server ended: %v", err)
		}
	})
	for end := time.Now().Add(5 * time.Second); ; {
		c, err := Dial(dir)
		if err == nil {
			_, err = c.Node(ctx) // an answer comes only after both sockets are ready
		}
		if err == nil {
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // there is no event for "listening" across processes
	}
}

func TestEveryMethodArrives(t *testing.T) {
	// A folder whose socket path is longer than the kernel takes.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-folder-name-", 8))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	c := serve(t, dir, f)
	ctx := context.Background()
	if a, err := c.Status(ctx, api.StatusQuery{Machine: "m"}); err != nil || a.Org != "m" {
		t.Errorf("status: %+v, %v", a, err)
	}
	_, err := c.Explain(ctx, "u", "m")
	e, ok := err.(*api.Error)
	if !ok || e.Class != api.ClassNotFound || e.What != "no u on m" || e.Hint != "look elsewhere" {
		t.Errorf("explain: %#v", err)
	}
	if a, err := c.Node(ctx); err != nil || a.ID != "me" {
		t.Errorf("node: %+v, %v", a, err)
	}
	if a, err := c.Invite(ctx, api.InviteRequest{Site: "s"}); err != nil || a.Site != "s" {
		t.Errorf("invite: %+v, %v", a, err)
	}
	body := bytes.Repeat([]byte("payload "), 300_000)
	a, err := c.Import(ctx, api.ImportRequest{ID: "i", Title: "Ünï\nx", SizeBytes: int64(len(body))}, bytes.NewReader(body))
	if err != nil || a.Update != "i" || a.Title != "Ünï\nx" || !bytes.Equal(f.imported, body) {
		t.Errorf("import: %+v, %d bytes, %v", a, len(f.imported), err)
	}
	if p, err := c.Approve(ctx, api.ApproveRequest{Update: "u"}); err != nil || p.Summary != "u" {
		t.Errorf("approve: %+v, %v", p, err)
	}
	if p, err := c.Hold(ctx, api.HoldRequest{Reason: "r"}); err != nil || p.Summary != "r" {
		t.Errorf("hold: %+v, %v", p, err)
	}
	if p, err := c.Release(ctx, api.ReleaseRequest{Hold: "h"}); err != nil || p.Hold != "h" {
		t.Errorf("release: %+v, %v", p, err)
	}
	if _, err := c.Sign(ctx, api.SignRequest{}); api.ClassOf(err) != api.ClassFailed || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("sign: %v", err)
	}
}

func TestNoNodeIsUnreachableAndStaleSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	if _, err := Dial(dir); api.ClassOf(err) != api.ClassUnreachable {
		t.Fatalf("no node: %v", err)
	}
	for _, name := range []string{statusSocket, adminSocket} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, dir, &fake{})
	if err := Serve(context.Background(), Config{Dir: dir, Service: &fake{}, Log: slog.New(slog.DiscardHandler)}); err != ErrRunning {
		t.Fatalf("a second node: %v, want ErrRunning", err)
	}
	for _, name := range []string{statusSocket, adminSocket} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatalf("socket: %v %v", fi.Mode(), err)
		}
	}
}

func TestOversizeRequestIsRefused(t *testing.T) {
	c := serve(t, t.TempDir(), &fake{})
	if _, err := c.Hold(context.Background(), api.HoldRequest{Reason: strings.Repeat("x", 2<<20)}); api.ClassOf(err) != api.ClassUsage {
		t.Fatalf("two megabytes of reason: %v", err)
	}
}
