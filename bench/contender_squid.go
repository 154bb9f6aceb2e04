//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

var squidEntry = entry{
	name: "squid", about: "nginx at the seed, behind a caching proxy (squid) in the branch's router", programs: []string{"squid", "nginx", "curl"},
	packages: []string{"squid", "nginx-light", "curl"}, version: []string{"squid", "-v"}, wanOnly: true,
	make: func(s *Site, _ string) Contender { return &squid{httpServer: httpServer{site: s}} },
}

// squid is a proxy that joins requests for what is still coming, with everything in memory. Like the
// other proxy it stands in the router, whose own link to the LAN has no limit, and is booked with the seed.
type squid struct {
	httpServer
	process *Process
}

func (s *squid) Name() string { return squidEntry.name }

// service names the shared memory that squid keeps when it is killed, and refuses to find.
func (s *squid) service() string { return fmt.Sprintf("pmbench%d", os.Getpid()) }

// Close ends squid and removes its shared memory.
func (s *squid) Close() error {
	if s.process != nil && s.process.alive() {
		s.process.kill()
	}
	left, err := filepath.Glob(filepath.Join("/dev/shm", s.service()+"-*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// Prepare starts both servers.
func (s *squid) Prepare(ctx context.Context) error {
	if err := s.httpServer.Prepare(ctx); err != nil {
		return err
	}
	router, err := s.router()
	if err != nil {
		return err
	}
	at := router.Addr.String() + ":3128"
	config := fmt.Sprintf(`http_port %[1]s
http_access allow all
collapsed_forwarding on
cache_mem 4 GB
maximum_object_size 4 GB
maximum_object_size_in_memory 4 GB
memory_cache_shared off
access_log none
cache_log %[2]s/cache.log
pid_filename none
coredump_dir %[2]s
shutdown_lifetime 1 seconds
`, at, router.Dir)
	if err := os.Chmod(router.Dir, 0o777); err != nil { // squid gives up its root rights
		return err
	}
	path := filepath.Join(router.Dir, "squid.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	s.process, err = s.site.Start(router, "squid", "-N", "-n", s.service(), "-f", path)
	if err != nil {
		return err
	}
	s.bookWithSeed(router)
	s.proxy = "http://" + at
	return awaitPort(ctx, router, s.process, at)
}

// awaitPort waits until a server accepts connections.
func awaitPort(ctx context.Context, m *Machine, p *Process, at string) error {
	return await(ctx, 20*time.Second, p.name, func() error {
		if !p.alive() {
			return fmt.Errorf("it ended: %s", p.logTail())
		}
		return m.Do(func() error {
			c, err := net.DialTimeout("tcp4", at, time.Second)
			if err == nil {
				_ = c.Close()
			}
			return err
		})
	})
}
