//go:build linux

package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var (
	httpEntry = entry{
		name: "http", about: "a plain HTTP server (nginx), every machine with curl", programs: []string{"nginx", "curl"},
		packages: []string{"nginx-light", "curl"}, version: []string{"nginx", "-v"},
		make: func(s *Site, _ string) Contender { return &httpServer{site: s} },
	}
	proxyEntry = entry{
		name: "http-proxy", about: "the same behind a caching proxy (nginx) in the branch's router", programs: []string{"nginx", "curl"},
		packages: []string{"nginx-light", "curl"}, version: []string{"nginx", "-v"}, wanOnly: true,
		make: func(s *Site, _ string) Contender { return &httpServer{site: s, proxy: true} },
	}
)

// httpServer is nginx at the seed. With a proxy the machines ask another nginx, which stands where it
// serves best: in the router, whose own link to the LAN has no limit. It fetches slices of 1 MiB, each once,
// and hands them out while the rest is still coming.
type httpServer struct {
	site  *Site
	proxy bool
	url   string
}

func (h *httpServer) Name() string {
	if h.proxy {
		return proxyEntry.name
	}
	return httpEntry.name
}

func (h *httpServer) Close() error { return nil }

// Prepare starts the servers.
func (h *httpServer) Prepare(ctx context.Context) error {
	seed := h.site.Seed
	at := seed.Addr.String() + ":80"
	h.url = "http://" + at
	if err := h.nginx(ctx, seed, fmt.Sprintf("server { listen %s; root %s; sendfile on; }", at, filepath.Join(seed.Dir, "release")), at); err != nil || !h.proxy {
		return err
	}
	// The router is no machine of the site: it gets a folder and is booked with the seed.
	router := &Machine{Host: h.site.Lab.Router, Dir: filepath.Join(h.site.Dir, "router")}
	router.Addr = h.site.Lab.gateway()
	if err := os.MkdirAll(router.Dir, 0o755); err != nil {
		return err
	}
	at = router.Addr.String() + ":80"
	config := fmt.Sprintf(`proxy_cache_path %[1]s/cache keys_zone=c:10m max_size=4g use_temp_path=off;
server {
  listen %[2]s;
  slice 1m;
  proxy_cache c; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range; proxy_http_version 1.1;
  proxy_cache_valid 200 206 1h; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
  location / { proxy_pass %[3]s; proxy_set_header Connection ""; }
}
upstream origin { server %[4]s; keepalive 4; }`, router.Dir, at, "http://origin", strings.TrimPrefix(h.url, "http://"))
	h.url = "http://" + at
	err := h.nginx(ctx, router, config, at)
	h.site.mu.Lock()
	defer h.site.mu.Unlock()
	seed.processes = append(seed.processes, router.processes...)
	return err
}

// nginx runs one server process without a master, so that its cost is one process's.
func (h *httpServer) nginx(ctx context.Context, m *Machine, servers, at string) error {
	path := filepath.Join(m.Dir, "nginx.conf")
	text := fmt.Sprintf("daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;\nevents { worker_connections 1024; }\nhttp { access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;\n%[2]s\n}\n", m.Dir, servers)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	p, err := h.site.Start(m, "nginx", "-p", m.Dir, "-e", "stderr", "-c", path)
	if err != nil {
		return err
	}
	return await(ctx, 10*time.Second, "nginx on "+m.Name, func() error {
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

// Distribute starts one curl on every machine. A file gets its name when it is complete.
func (h *httpServer) Distribute(ctx context.Context, updates []Update) error {
	var script strings.Builder
	script.WriteString("set -e")
	for _, u := range updates {
		fmt.Fprintf(&script, "; curl -sSf -o %[1]s.part %[2]s/%[1]s; mv %[1]s.part %[3]s/%[1]s", u.Name, h.url, gotFolder)
	}
	for _, m := range h.site.Machines {
		if _, err := h.site.Start(m, "sh", "-c", script.String()); err != nil {
			return err
		}
	}
	return nil
}
