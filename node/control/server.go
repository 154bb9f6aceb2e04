package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"patchmesh/node/api"
)

// socketName is the file in the data folder.
const socketName = "control.sock"

// ErrRunning: another node answers on the socket.
var ErrRunning = errors.New("another node answers on the local socket")

// Serve answers on the socket of a data folder until ctx ends. A file left by a node that has died is
// replaced; one on which somebody answers is ErrRunning.
func Serve(ctx context.Context, dataDir string, s api.Service, log *slog.Logger) error {
	ln, err := listen(dataDir)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: routes(s), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 1 << 20,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	log.Debug("local socket open", "path", filepath.Join(dataDir, socketName))
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("local socket: %w", err)
	}
	return nil
}

func listen(dataDir string) (net.Listener, error) {
	path, done, err := socketPath(dataDir)
	if err != nil {
		return nil, err
	}
	defer done()
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, ErrRunning
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old local socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open local socket: %w", err)
	}
	// The folder is private to the user, so nobody gets in between listening and this.
	if err := os.Chmod(filepath.Join(dataDir, socketName), 0o600); err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("protect local socket: %w", err)
	}
	return ln, nil
}
