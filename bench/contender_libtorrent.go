//go:build linux

package bench

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"
)

//go:embed libtorrent_peer.py
var libtorrentScript string

const systemPython = "/usr/bin/python3" // the one that Debian's python3-libtorrent belongs to

var (
	libtorrentEntry = entry{
		name: "libtorrent", about: "BitTorrent, plain, the seed super-seeding", programs: []string{systemPython},
		packages: []string{"python3-libtorrent"}, version: libtorrentVersion,
		make: func(s *Site, _ string) Contender { return &libtorrent{torrents: torrents{site: s}, name: "libtorrent"} },
	}
	libtorrentPlainEntry = entry{
		name: "libtorrent-plain", about: "the same, the seed seeding as usual", programs: []string{systemPython},
		packages: []string{"python3-libtorrent"}, version: libtorrentVersion,
		make: func(s *Site, _ string) Contender {
			return &libtorrent{torrents: torrents{site: s}, name: "libtorrent-plain", more: []string{"--plain-seed"}}
		},
	}
	libtorrentRC4Entry = entry{
		name: "libtorrent-rc4", about: "the same, obfuscated with RC4", programs: []string{systemPython},
		packages: []string{"python3-libtorrent"}, version: libtorrentVersion,
		make: func(s *Site, _ string) Contender {
			return &libtorrent{torrents: torrents{site: s}, name: "libtorrent-rc4", more: []string{"--rc4"}}
		},
	}
	libtorrentVersion = []string{systemPython, "-c", "import libtorrent; print('libtorrent', libtorrent.__version__)"}
)

// libtorrent runs a small script around the library on every machine.
type libtorrent struct {
	torrents
	name   string
	more   []string
	script string
}

func (l *libtorrent) Name() string { return l.name }

// Prepare starts the tracker and writes the script; programs start with the torrents.
func (l *libtorrent) Prepare(context.Context) error {
	l.script = filepath.Join(l.site.Dir, "libtorrent_peer.py")
	if err := os.WriteFile(l.script, []byte(libtorrentScript), 0o644); err != nil {
		return err
	}
	return l.open()
}

// Stage makes the torrents and starts the seed on them.
func (l *libtorrent) Stage(ctx context.Context, updates []Update) error {
	if err := l.write(updates); err != nil {
		return err
	}
	if err := l.run(l.site.Seed, filepath.Dir(updates[0].Path), "--seed"); err != nil {
		return err
	}
	return l.awaitPeers(ctx, 1)
}

func (l *libtorrent) Distribute(ctx context.Context, _ []Update) error {
	for _, m := range l.site.Machines {
		if err := l.Join(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Join starts one machine.
func (l *libtorrent) Join(_ context.Context, m *Machine) error {
	if err := os.MkdirAll(partFolder(m), 0o755); err != nil {
		return err
	}
	return l.run(m, partFolder(m))
}

func (l *libtorrent) run(m *Machine, dir string, more ...string) error {
	args := append([]string{l.script, "--listen", m.Addr.String(), "--dir", dir, "--got", filepath.Join(m.Dir, gotFolder)}, l.more...)
	_, err := l.site.Start(m, systemPython, append(append(args, more...), l.files...)...)
	return err
}
