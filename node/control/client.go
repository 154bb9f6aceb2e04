package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"time"

	"patchmesh/node/api"
)

// client speaks to the node of one data folder.
type client struct {
	http    *http.Client
	dataDir string
}

// maxAnswer bounds an answer: the status of 100,000 machines.
const maxAnswer = 1 << 30

// Dial reaches the running node of a data folder. ClassUnreachable if none runs, ClassFailed if this
// user may not use the folder.
func Dial(dataDir string) (api.Service, error) {
	c := &client{dataDir: dataDir}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
	}}
	conn, err := c.dial(context.Background())
	if err != nil {
		return nil, c.explain(err)
	}
	_ = conn.Close()
	return c, nil
}

func (c *client) dial(ctx context.Context) (net.Conn, error) {
	path, done, err := socketPath(c.dataDir)
	if err != nil {
		return nil, err
	}
	defer done()
	d := net.Dialer{Timeout: 5 * time.Second}
	return d.DialContext(ctx, "unix", path)
}

func (c *client) explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return api.Errorf(api.ClassFailed, "no permission to use the data folder %s", c.dataDir).
			WithHint("run the command as the user who runs patchmesh there, or choose another folder with --data")
	}
	return api.Errorf(api.ClassUnreachable, "no patchmesh is running on %s", c.dataDir).
		WithHint("start it with 'patchmesh run --data %s', or choose another folder with --data", c.dataDir)
}

// call sends q and reads the answer into a new A.
func call[A any](ctx context.Context, c *client, route string, q any) (*A, error) {
	b, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://patchmesh/"+route, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return send[A](c, r)
}

func send[A any](c *client, r *http.Request) (*A, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode != http.StatusOK {
		var e api.Error
		if err := json.NewDecoder(body).Decode(&e); err != nil || e.What == "" {
			return nil, api.Errorf(api.ClassFailed, "the node answered %s", resp.Status)
		}
		return nil, &e
	}
	a := new(A)
	if err := json.NewDecoder(body).Decode(a); err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	return a, nil
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
	return call[api.Published](ctx, c, "approve", r)
}

// Hold implements api.Service.
func (c *client) Hold(ctx context.Context, r api.HoldRequest) (*api.Published, error) {
	return call[api.Published](ctx, c, "hold", r)
}

// Release implements api.Service.
func (c *client) Release(ctx context.Context, r api.ReleaseRequest) (*api.Published, error) {
	return call[api.Published](ctx, c, "release", r)
}

// Sign implements api.Service.
func (c *client) Sign(ctx context.Context, r api.SignRequest) (*api.Published, error) {
	return call[api.Published](ctx, c, "sign", r)
}

// Revoke implements api.Service.
func (c *client) Revoke(ctx context.Context, r api.RevokeRequest) (*api.Revoked, error) {
	return call[api.Revoked](ctx, c, "revoke", r)
}

// Site implements api.Service.
func (c *client) Site(ctx context.Context, r api.SiteRequest) (*api.Site, error) {
	return call[api.Site](ctx, c, "site", r)
}
