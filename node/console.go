package node

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"patchmesh/node/api"
	"patchmesh/node/console"
)

// serveConsole shows a seed's fleet to browsers of this computer until ctx ends. An ordinary machine listens on its mesh
// port and nowhere else.
func (n *Node) serveConsole(ctx context.Context) error {
	file := filepath.Join(n.cfg.DataDir, console.FileName)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) { // the link of a run that was killed
		return err
	}
	if n.cfg.Console == "" {
		return nil
	}
	if n.seed == nil {
		return api.Errorf(api.ClassUsage, "only a seed has a console").WithHint("leave --console out: 'patchmesh status' tells about this machine")
	}
	c, ln, err := console.Open(console.Config{Listen: n.cfg.Console, File: file, Source: n, Log: n.log})
	if err != nil {
		return api.Errorf(api.ClassFailed, "%v", err).WithHint("choose another port with --console IP:PORT")
	}
	n.log.Info("the console is open; 'patchmesh console' prints its link", "address", ln.Addr().String())
	n.work(func() {
		if err := c.Serve(ctx, ln); err != nil {
			n.log.Error("console stopped", "err", err)
		}
		_ = os.Remove(file)
	})
	return nil
}

// ConsoleLink is the link of the console that the node of a data folder has open, with its token. ClassUnreachable if
// there is none, ClassFailed if this user may not read it.
func ConsoleLink(dir string) (*console.Link, error) {
	b, err := os.ReadFile(filepath.Join(dir, console.FileName))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, forbidden(dir)
	case err != nil:
		return nil, api.Errorf(api.ClassUnreachable, "no console is open on %s", dir).WithHint("run the seed with 'patchmesh run --console 127.0.0.1:7780'")
	}
	var l console.Link
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, api.Errorf(api.ClassFailed, "the link in %s cannot be read: %v", filepath.Join(dir, console.FileName), err).WithHint("start the seed again")
	}
	// Root asks too, and the folder is the node's: what is printed must be such a link, and nothing for the terminal.
	at, secret, _ := strings.Cut(strings.TrimPrefix(l.URL, "http://"), "/#")
	if !strings.HasPrefix(l.URL, "http://") || console.CheckListen(at) != nil || secret == "" || api.Clean(l.URL) != l.URL {
		return nil, api.Errorf(api.ClassFailed, "%s holds no link of a console", filepath.Join(dir, console.FileName)).WithHint("start the seed again")
	}
	return &l, nil
}
