//go:build linux

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
		make: func(s *Site, _ string) Contender { return &nginxCache{httpServer{site: s}} },
	}
)

// httpServer is nginx at the seed; the machines fetch with curl, from it or through a proxy.
type httpServer struct {
	site  *Site
	url   string
	proxy string // that curl is told of; empty: none
}

func (h *httpServer) Name() string { return httpEntry.name }
func (h *httpServer) Close() error { return nil }

// Prepare starts the server.
func (h *httpServer) Prepare(ctx context.Context) error {
	seed := h.site.Seed
	at := seed.Addr.String() + ":80"
	h.url = "http://" + at
	return h.nginx(ctx, seed, fmt.Sprintf("server { listen %s; root %s; sendfile on; }", at, filepath.Join(seed.Dir, "release")), at)
}

// router is where proxies stand. It is no machine of the site.
func (h *httpServer) router() (*Machine, error) {
	m := &Machine{Host: h.site.Lab.Router, Dir: filepath.Join(h.site.Dir, "router")}
	m.Addr = h.site.Lab.gateway()
	return m, os.MkdirAll(m.Dir, 0o755)
}

// bookWithSeed counts what runs in the router as the seed's.
func (h *httpServer) bookWithSeed(router *Machine) {
	h.site.mu.Lock()
	defer h.site.mu.Unlock()
	h.site.Seed.processes = append(h.site.Seed.processes, router.processes...)
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
	return awaitPort(ctx, m, p, at)
}

// Distribute starts one curl on every machine. A file gets its name when it is complete.
func (h *httpServer) Distribute(ctx context.Context, updates []Update) error {
	var script strings.Builder
	script.WriteString("set -e")
	for _, u := range updates {
		fmt.Fprintf(&script, "; curl -sSf --noproxy '' --proxy '%[4]s' -o %[1]s.part %[2]s/%[1]s; mv %[1]s.part %[3]s/%[1]s", u.Name, h.url, gotFolder, h.proxy)
	}
	for _, m := range h.site.Machines {
		if _, err := h.site.Start(m, "sh", "-c", script.String()); err != nil {
			return err
		}
	}
	return nil
}

// nginxCache is nginx before nginx: it fetches slices of 1 MiB, each once, and hands them out while the
// rest is still coming. It stands where it serves best: in the router, whose own link to the LAN has
// no limit.
type nginxCache struct{ httpServer }

func (n *nginxCache) Name() string { return proxyEntry.name }

// Prepare starts both servers.
func (n *nginxCache) Prepare(ctx context.Context) error {
	if err := n.httpServer.Prepare(ctx); err != nil {
		return err
	}
	router, err := n.router()
	if err != nil {
		return err
	}
	at := router.Addr.String() + ":80"
	config := fmt.Sprintf(`proxy_cache_path %[1]s/cache keys_zone=c:10m max_size=4g use_temp_path=off;
server {
  listen %[2]s;
  slice 1m;
  proxy_cache c; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range; proxy_http_version 1.1;
  proxy_cache_valid 200 206 1h; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
  location / { proxy_pass http://origin; proxy_set_header Connection ""; }
}
upstream origin { server %[3]s; keepalive 4; }`, router.Dir, at, strings.TrimPrefix(n.url, "http://"))
	n.url = "http://" + at
	err = n.nginx(ctx, router, config, at)
	n.bookWithSeed(router)
	return err
}
