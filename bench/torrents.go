//go:build linux

package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// torrents is what the BitTorrent contenders have in common: a tracker beside the seed and the torrent
// files of the updates.
type torrents struct {
	site    *Site
	tracker *tracker
	files   []string
}

func (t *torrents) open() (err error) {
	t.tracker, err = newTracker(t.site.Seed.Host)
	return err
}

// Close ends the tracker.
func (t *torrents) Close() error {
	if t.tracker == nil {
		return nil
	}
	return t.tracker.close()
}

// write makes the torrents of a release.
func (t *torrents) write(updates []Update) error {
	t.files = nil
	for _, u := range updates {
		path := filepath.Join(t.site.Dir, u.Name+".torrent")
		if err := writeTorrent(path, u.Path, t.tracker.url()); err != nil {
			return fmt.Errorf("torrent of %s: %w", u.Name, err)
		}
		t.files = append(t.files, path)
	}
	return nil
}

// awaitPeers waits until so many clients have told the tracker of every torrent.
func (t *torrents) awaitPeers(ctx context.Context, n int) error {
	return await(ctx, time.Minute, "the seed to announce itself", func() error {
		known := t.tracker.known(n)
		if known < len(t.files) {
			return fmt.Errorf("%d of %d torrents", known, len(t.files))
		}
		return nil
	})
}
