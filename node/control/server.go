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
	"runtime"
	"sync"
	"time"

	"patchmesh/node/api"
)

// The two files: questions, and everything.
const (
	statusSocket = "status.sock"
	adminSocket  = "admin.sock"
)

// Where the sockets of the system's own node are: ordinary users can reach them there, while the data
// folder is closed to them.
const (
	SystemData    = "/var/lib/patchmesh"
	SystemSockets = "/run/patchmesh"
)

// ErrRunning: another node answers on the socket.
var ErrRunning = errors.New("another node answers on the local socket")

// Config says where the local API is and for whom.
type Config struct {
	Dir     string // folder of the sockets
	Service api.Service
	// Who tells who connected, as the kernel knows it. Nil: nobody can tell, see Access.
	Who    func(net.Conn) (api.Caller, error)
	Access Access
	Log    *slog.Logger
}

// Serve answers on both sockets until ctx ends. A file left by a node that has died is replaced; one
// on which somebody answers is ErrRunning.
func Serve(ctx context.Context, cfg Config) error {
	everything := routes(cfg.Service)
	doors := []struct {
		name string
		mode os.FileMode
		door door
	}{
		{adminSocket, cfg.Access.adminMode(), door{cfg: cfg, admin: true, next: everything}},
		{statusSocket, cfg.Access.statusMode(), door{cfg: cfg, next: questions(everything)}},
	}
	var lns []net.Listener
	for _, d := range doors {
		ln, err := listen(cfg.Dir, d.name, d.mode, cfg.Access.group())
		if err != nil {
			for _, l := range lns {
				_ = l.Close()
			}
			return err
		}
		lns = append(lns, ln)
	}
	cfg.Log.Debug("local sockets open", "folder", cfg.Dir)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make([]error, len(doors))
	var running sync.WaitGroup
	for i, d := range doors {
		running.Add(1)
		go func() {
			defer running.Done()
			defer stop() // one without the other is no local API
			failed[i] = serveDoor(ctx, lns[i], &d.door)
		}()
	}
	running.Wait()
	return errors.Join(failed...)
}

func serveDoor(ctx context.Context, ln net.Listener, d *door) error {
	srv := &http.Server{
		Handler: d, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 20,
		BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: d.meet,
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("local socket: %w", err)
	}
	return nil
}

func listen(dir, name string, mode os.FileMode, group int) (net.Listener, error) {
	path, done, err := socketPath(dir, name)
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
	// The folder belongs to the user alone, or the caller is asked for anyway: nobody gets in between
	// listening and this.
	file := filepath.Join(dir, name)
	if mode&0o060 != 0 && group >= 0 && !bornTo(dir, group) {
		err = os.Lchown(file, -1, group)
	}
	if err == nil {
		err = os.Chmod(file, mode)
	}
	if err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("protect local socket: %w", err)
	}
	return ln, nil
}

// bornTo says whether what this process makes in a folder belongs to a group already. A process that the
// service manager guards may not give files away, not even to its own group.
func bornTo(dir string, group int) bool {
	fi, err := os.Stat(dir)
	return err == nil && runtime.GOOS == "linux" && fi.Mode()&os.ModeSetgid == 0 && group == os.Getegid()
}
