//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
)

var transmissionEntry = entry{
	name: "transmission", about: "BitTorrent, plain, resident daemons", programs: []string{"transmission-daemon"},
	packages: []string{"transmission-daemon"}, version: []string{"transmission-daemon", "--version"},
	make: func(s *Site, _ string) Contender { return &transmission{torrents: torrents{site: s}} },
}

// transmission runs a daemon on every machine before the clock starts. Each looks into a folder for
// torrents; the clock starts when they are put there.
type transmission struct{ torrents }

func (t *transmission) Name() string { return "transmission" }

// Prepare starts the tracker and the daemons of the machines.
func (t *transmission) Prepare(context.Context) error {
	if err := t.open(); err != nil {
		return err
	}
	for _, m := range append([]*Machine{t.site.Seed}, t.site.Machines...) {
		if err := t.run(m); err != nil {
			return err
		}
	}
	return nil
}

// transmissionSettings is settings.json; what is not named has its default. They are those of somebody
// who wants speed on a network of his own.
func transmissionSettings(m *Machine, part, hook string) map[string]any {
	return map[string]any{
		"bind-address-ipv4": m.Addr.String(), "dht-enabled": false, "lpd-enabled": false, "utp-enabled": false,
		"port-forwarding-enabled": false, "rpc-enabled": false, "encryption": 0, "preallocation": 1,
		"download-dir": part, "incomplete-dir-enabled": false, "watch-dir": watchFolder(m), "watch-dir-enabled": true,
		"download-queue-enabled": false, "seed-queue-enabled": false, "queue-stalled-enabled": false, "cache-size-mb": 16,
		"peer-limit-per-torrent": 200, "peer-limit-global": 1000, "upload-slots-per-torrent": 14,
		"script-torrent-done-enabled": hook != "", "script-torrent-done-filename": hook,
	}
}

func watchFolder(m *Machine) string { return filepath.Join(m.Dir, "watch") }

func (t *transmission) run(m *Machine) error {
	part, hook := filepath.Join(m.Dir, "release"), ""
	if m != t.site.Seed {
		var err error
		part = partFolder(m)
		if hook, err = finished(m, `"$TR_TORRENT_DIR/$TR_TORRENT_NAME"`); err != nil {
			return err
		}
	}
	config := filepath.Join(m.Dir, "config")
	for _, dir := range []string{config, watchFolder(m)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(transmissionSettings(m, part, hook), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(config, "settings.json"), text, 0o644); err != nil {
		return err
	}
	_, err = t.site.Start(m, "transmission-daemon", "--foreground", "--config-dir", config)
	return err
}

// Stage makes the torrents and gives them to the seed.
func (t *transmission) Stage(ctx context.Context, updates []Update) error {
	if err := t.write(updates); err != nil {
		return err
	}
	if err := t.give(t.site.Seed); err != nil {
		return err
	}
	return t.awaitPeers(ctx, 1)
}

func (t *transmission) give(m *Machine) error {
	for _, path := range t.files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// Renamed into place, for the daemon would read half a file.
		part := filepath.Join(m.Dir, filepath.Base(path))
		if err := os.WriteFile(part, text, 0o644); err != nil {
			return err
		}
		if err := os.Rename(part, filepath.Join(watchFolder(m), filepath.Base(path))); err != nil {
			return err
		}
	}
	return nil
}

func (t *transmission) Distribute(context.Context, []Update) error {
	for _, m := range t.site.Machines {
		if err := t.give(m); err != nil {
			return err
		}
	}
	return nil
}

// Join starts a daemon that finds the torrents waiting.
func (t *transmission) Join(_ context.Context, m *Machine) error {
	if err := t.run(m); err != nil {
		return err
	}
	return t.give(m)
}
