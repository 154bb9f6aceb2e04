package tufdir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A client that began with an older head may still ask for what that leads to, and a slow one takes its
// time. So what the head does not lead to any more stays for a while; when it was left behind is written
// beside the mirror, since no file's own time says so.

// How long a file is kept that the head leads to no more, and how many of them at most: a seed that
// publishes all day long must not fill the disk of a web host.
const (
	KeepSuperseded    = 24 * time.Hour
	MaxSupersededKept = 1000
)

// supersededFile lists when files were left behind. Without it, or damaged, the time begins anew.
const supersededFile = ".superseded"

// maxSupersededBytes bounds the list when it is read: nobody's list is longer than the folder.
const maxSupersededBytes = 16 << 20

// What a mirror may remove: names that only a mirror writes. Roots stay, since they are the way that a
// machine follows which was off for years, and nothing of anybody else's is touched.
var (
	versionedName = regexp.MustCompile(`^[0-9]+\.([a-z0-9_-]+)\.json(\.tmp)?$`)
	targetName    = regexp.MustCompile(`^[0-9a-f]{64}\.[a-z0-9_-]+\.json(\.tmp)?$`)
)

// Prune removes what has served its time: files that are not among keep and were left behind for
// KeepSuperseded, and the oldest of more than MaxSupersededKept. It is called after PutHead; an error
// leaves a mirror that is whole and has more files than it needs.
func (m *Mirror) Prune(keep []string, now time.Time) (removed int, err error) {
	here, err := m.prunable(keep)
	if err != nil {
		return 0, err
	}
	was, err := m.superseded()
	if err != nil {
		return 0, err
	}
	since := map[string]time.Time{}
	var gone, left []string
	for _, name := range here {
		at, known := was[name]
		if !known || at.After(now) { // or the clock was turned back
			at = now
		}
		since[name] = at
		if strings.HasSuffix(name, ".tmp") || now.Sub(at) >= KeepSuperseded {
			gone = append(gone, name)
		} else {
			left = append(left, name)
		}
	}
	slices.SortStableFunc(left, func(a, b string) int { return since[a].Compare(since[b]) })
	gone = append(gone, left[:max(0, len(left)-MaxSupersededKept)]...)
	for _, name := range gone {
		if err := m.files.remove(name); err != nil {
			return removed, err
		}
		delete(since, name)
		removed++
	}
	if maps.EqualFunc(since, was, time.Time.Equal) {
		return removed, nil
	}
	b, err := json.Marshal(since)
	if err != nil {
		return removed, fmt.Errorf("encode what was superseded: %w", err)
	}
	return removed, replace(m.files, "", supersededFile, b)
}

// prunable are the files of the mirror that the head does not lead to, with slashes, in order.
func (m *Mirror) prunable(keep []string) ([]string, error) {
	var out []string
	for _, sub := range mirrorFolders {
		names, err := m.files.names(sub)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			role := versionedName.FindStringSubmatch(name)
			mine := sub == "." && role != nil && (role[1] != "root" || role[2] != "") || sub != "." && targetName.MatchString(name)
			if full := path.Join(sub, name); mine && !slices.Contains(keep, full) {
				out = append(out, full)
			}
		}
	}
	return out, nil
}

// superseded reads the list; an unreadable one is empty.
func (m *Mirror) superseded() (map[string]time.Time, error) {
	since := map[string]time.Time{}
	b, err := m.files.read(supersededFile, maxSupersededBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return since, nil
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(b, &since) != nil {
		return map[string]time.Time{}, nil
	}
	return since, nil
}
