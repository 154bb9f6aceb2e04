//go:build linux

package bench

import (
	"context"
	"os"
	"path/filepath"
)

var (
	aria2Entry = entry{
		name: "aria2", about: "BitTorrent, plain", programs: []string{"aria2c"}, packages: []string{"aria2"},
		version: []string{"aria2c", "--version"},
		make:    func(s *Site, _ string) Contender { return &aria2{torrents: torrents{site: s}, name: "aria2"} },
	}
	aria2RC4Entry = entry{
		name: "aria2-rc4", about: "BitTorrent, obfuscated with RC4", programs: []string{"aria2c"}, packages: []string{"aria2"},
		version: []string{"aria2c", "--version"},
		make: func(s *Site, _ string) Contender {
			return &aria2{torrents: torrents{site: s}, name: "aria2-rc4", more: []string{"--bt-force-encryption=true"}}
		},
	}
)

// aria2 runs one aria2c on every machine, which seeds on when it is done. The seed has checked its
// file before the clock starts.
type aria2 struct {
	torrents
	name string
	more []string
	up   []*Machine
}

func (a *aria2) Name() string { return a.name }

// Prepare starts the tracker; programs start with the torrents.
func (a *aria2) Prepare(context.Context) error {
	a.up = a.site.Machines
	return a.open()
}

// Stage makes the torrents and starts the seed on them.
func (a *aria2) Stage(ctx context.Context, updates []Update) error {
	if err := a.write(updates); err != nil {
		return err
	}
	if err := a.run(a.site.Seed, filepath.Dir(updates[0].Path), "--check-integrity=true"); err != nil {
		return err
	}
	return a.awaitPeers(ctx, 1)
}

func (a *aria2) Distribute(context.Context, []Update) error {
	for _, m := range a.up {
		if err := a.Join(context.Background(), m); err != nil {
			return err
		}
	}
	return nil
}

// Join starts one machine.
func (a *aria2) Join(_ context.Context, m *Machine) error {
	hook, err := finished(m, `"$3"`)
	if err != nil {
		return err
	}
	return a.run(m, partFolder(m), "--on-bt-download-complete="+hook)
}

func (a *aria2) run(m *Machine, dir string, more ...string) error {
	args := append([]string{"--enable-dht=false", "--bt-enable-lpd=false", "--seed-ratio=0", "--dir=" + dir, "--file-allocation=falloc",
		"--bt-max-peers=0", "--summary-interval=0", "--quiet=true", "--max-concurrent-downloads=100", "--bt-tracker-interval=2"}, a.more...)
	_, err := a.site.Start(m, "aria2c", append(append(args, more...), a.files...)...)
	return err
}

// partFolder is where files of a machine grow.
func partFolder(m *Machine) string { return filepath.Join(m.Dir, "part") }

// finished writes the script that a client calls with a complete file.
func finished(m *Machine, file string) (string, error) {
	if err := os.MkdirAll(partFolder(m), 0o755); err != nil {
		return "", err
	}
	hook := filepath.Join(m.Dir, "finished.sh")
	return hook, os.WriteFile(hook, []byte("#!/bin/sh\nexec ln "+file+" '"+filepath.Join(m.Dir, gotFolder)+"/'\n"), 0o755)
}
