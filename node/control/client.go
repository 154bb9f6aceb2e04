package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"patchmesh/node/api"
)

// client speaks to the node of one data folder.
type client struct {
	status, admin *http.Client
	dataDir       string
	most          int64 // bytes of an answer; 0: maxAnswer
	visit         bool  // the node is another machine's, see visit.go
}

// maxAnswer bounds an answer: the status of 100,000 machines.
const maxAnswer = 1 << 30

// Dial reaches the running node of a data folder. Questions go to the socket that answers them, orders
// to the one for admins. ClassUnreachable if no node runs, ClassFailed if this user may not come near
// either socket, ClassRefused later if the node does not take this user's orders.
func Dial(dataDir string) (api.Service, error) {
	dir := socketDir(dataDir)
	c := &client{dataDir: dataDir, status: clientOf(dir, statusSocket), admin: clientOf(dir, adminSocket)}
	conn, err := dial(context.Background(), dir, statusSocket)
	if err != nil {
		conn, err = dial(context.Background(), dir, adminSocket)
	}
	if err != nil {
		return nil, c.explain(err, false)
	}
	_ = conn.Close()
	return c, nil
}

// socketDir is where the node of a data folder has its sockets.
func socketDir(dataDir string) string {
	if filepath.Clean(dataDir) == SystemData && SystemNode() {
		return SystemSockets
	}
	return dataDir
}

// SystemNode says whether the system's own node has its sockets open, or had when it last ran.
func SystemNode() bool {
	_, err := os.Lstat(filepath.Join(SystemSockets, statusSocket))
	return err == nil
}

func clientOf(dir, name string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir, name) },
	}}
}

func dial(ctx context.Context, dir, name string) (net.Conn, error) {
	path, done, err := socketPath(dir, name)
	if err != nil {
		return nil, err
	}
	defer done()
	d := net.Dialer{Timeout: 5 * time.Second}
	return d.DialContext(ctx, "unix", path)
}

func (c *client) explain(err error, order bool) error {
	if c.visit {
		return visitOver(err)
	}
	if errors.Is(err, fs.ErrPermission) && order {
		return noRight(os.Getuid(), true)
	}
	if errors.Is(err, fs.ErrPermission) && socketDir(c.dataDir) == SystemSockets {
		return api.Errorf(api.ClassFailed, "this user may not ask the node of this machine").
			WithHint("run the command as root, or as a member of the node's group of admins (group patchmesh unless it was installed otherwise)")
	}
	if errors.Is(err, fs.ErrPermission) {
		return api.Errorf(api.ClassFailed, "no permission to use the data folder %s", c.dataDir).
			WithHint("run the command as the user who runs patchmesh there, or choose another folder with --data")
	}
	return api.Errorf(api.ClassUnreachable, "no patchmesh is running on %s", c.dataDir).
		WithHint("start it with 'patchmesh run --data %s', or choose another folder with --data", c.dataDir)
}

// call sends q and reads the answer into a new A.
func call[A any](ctx context.Context, c *client, route string, q any) (*A, error) {
	return callSecret[A](ctx, c, route, q, "")
}

// callSecret is call for a request with a passphrase. It travels in the body, and only there: the
// request itself would marshal to a mark.
func callSecret[A any](ctx context.Context, c *client, route string, q any, passphrase api.Secret) (*A, error) {
	b, err := json.Marshal(q)
	if err == nil && passphrase != "" {
		b, err = withPassphrase(b, passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	r, err := request(ctx, route, b)
	if err != nil {
		return nil, err
	}
	return send[A](c, r)
}

func request(ctx context.Context, route string, body []byte) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, http.MethodPost, "http://patchmesh/"+route, bytes.NewReader(body))
}

func withPassphrase(b []byte, passphrase api.Secret) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	text, err := json.Marshal(passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	fields["passphrase"] = text
	return json.Marshal(fields)
}

// do sends a request to its socket. A question that the status socket is closed for goes to the other.
func (c *client) do(r *http.Request) (*http.Response, error) {
	if !slices.Contains(readOnly, r.URL.Path) {
		resp, err := c.admin.Do(r)
		if err != nil {
			return nil, c.explain(err, true)
		}
		return resp, nil
	}
	resp, err := c.status.Do(r)
	if err != nil && r.GetBody != nil {
		if r.Body, err = r.GetBody(); err == nil {
			resp, err = c.admin.Do(r)
		}
	}
	if err != nil {
		return nil, c.explain(err, false)
	}
	return resp, nil
}

func send[A any](c *client, r *http.Request) (*A, error) {
	resp, err := c.do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, cmp.Or(c.most, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp)
	}
	a := new(A)
	if err := json.NewDecoder(body).Decode(a); err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	return a, nil
}

// refusal is the error that the node answered.
func refusal(resp *http.Response) error {
	var e api.Error
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&e); err != nil || e.What == "" {
		return api.Errorf(api.ClassFailed, "the node answered %s", resp.Status)
	}
	return &e
}

// Status implements api.Service.
func (c *client) Status(ctx context.Context, q api.StatusQuery) (*api.Fleet, error) {
	return call[api.Fleet](ctx, c, "status", q)
}

// Explain implements api.Service.
func (c *client) Explain(ctx context.Context, update, machine string) (*api.Explanation, error) {
	return call[api.Explanation](ctx, c, "explain", names{update, machine})
}

// Node implements api.Service.
func (c *client) Node(ctx context.Context) (*api.NodeInfo, error) {
	return call[api.NodeInfo](ctx, c, "node", struct{}{})
}

// Invite implements api.Service.
func (c *client) Invite(ctx context.Context, r api.InviteRequest) (*api.Invite, error) {
	return call[api.Invite](ctx, c, "invite", r)
}

// Import implements api.Service: the body streams.
func (c *client) Import(ctx context.Context, q api.ImportRequest, body io.Reader) (*api.Imported, error) {
	b, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://patchmesh/import", io.LimitReader(body, q.SizeBytes+1))
	if err != nil {
		return nil, err
	}
	r.Header.Set(importHeader, string(b))
	return send[api.Imported](c, r)
}

// Approve implements api.Service.
func (c *client) Approve(ctx context.Context, r api.ApproveRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "approve", r, r.Passphrase)
}

// Hold implements api.Service.
func (c *client) Hold(ctx context.Context, r api.HoldRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "hold", r, r.Passphrase)
}

// Release implements api.Service.
func (c *client) Release(ctx context.Context, r api.ReleaseRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "release", r, r.Passphrase)
}

// Sign implements api.Service.
func (c *client) Sign(ctx context.Context, r api.SignRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "sign", r, r.Passphrase)
}

// Revoke implements api.Service.
func (c *client) Revoke(ctx context.Context, r api.RevokeRequest) (*api.Revoked, error) {
	return call[api.Revoked](ctx, c, "revoke", r)
}

// SetWindow implements api.Service.
func (c *client) SetWindow(ctx context.Context, r api.WindowRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "window", r, r.Passphrase)
}

// SetRings implements api.Service.
func (c *client) SetRings(ctx context.Context, r api.RingsRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "ring-plan", r, r.Passphrase)
}

// RecordEvidence implements api.Service.
func (c *client) RecordEvidence(ctx context.Context, r api.EvidenceRequest) (*api.Evidence, error) {
	return call[api.Evidence](ctx, c, "evidence/record", r)
}

// Evidence implements api.Service.
func (c *client) Evidence(ctx context.Context, q api.EvidenceQuery) (*api.Evidence, error) {
	return call[api.Evidence](ctx, c, "evidence", q)
}

// Promote implements api.Service.
func (c *client) Promote(ctx context.Context, r api.PromoteRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "promote", r, r.Passphrase)
}

// Rings implements api.Service.
func (c *client) Rings(ctx context.Context, q api.RingsQuery) (*api.Rings, error) {
	return call[api.Rings](ctx, c, "rings", q)
}

// SetSetting implements api.Service.
func (c *client) SetSetting(ctx context.Context, r api.SettingRequest) (*api.Published, error) {
	return callSecret[api.Published](ctx, c, "setting", r, r.Passphrase)
}

// Policy implements api.Service.
func (c *client) Policy(ctx context.Context, q api.PolicyQuery) (*api.Policy, error) {
	return call[api.Policy](ctx, c, "policy", q)
}

// Wish implements api.Service.
func (c *client) Wish(ctx context.Context, r api.WishRequest) (*api.WishTaken, error) {
	return call[api.WishTaken](ctx, c, "wish", r)
}

// Windows implements api.Service.
func (c *client) Windows(ctx context.Context, q api.WindowsQuery) (*api.Windows, error) {
	return call[api.Windows](ctx, c, "windows", q)
}

// Site implements api.Service.
func (c *client) Site(ctx context.Context, r api.SiteRequest) (*api.Site, error) {
	return call[api.Site](ctx, c, "site", r)
}
