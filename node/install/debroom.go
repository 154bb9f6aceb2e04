package install

import (
	"context"
	"strconv"
	"strings"
)

// checkRoom refuses before anything is changed if what the package unpacks to will not fit: dpkg finds
// out half-way, and then has to undo what it has unpacked on a disk that is full. What was there before
// stays until the new files are in place, so nothing of it is counted as free.
func (p *dpkg) checkRoom(ctx context.Context, j Job, debs []staged) error {
	var all int64
	for _, d := range debs {
		out, code, err := p.query(ctx, "dpkg-deb", "--field", d.path, "Installed-Size")
		if err != nil || code != 0 {
			return err
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 40)
		if err != nil || kib < 0 {
			kib = 0 // a package need not say it; the reserve is asked for all the same
		}
		all += kib
	}
	return j.checkSpace(p.root, all<<10)
}
