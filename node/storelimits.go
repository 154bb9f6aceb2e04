package node

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"patchmesh/node/api"
)

// parseLimit reads a bound of the store: a size, a share of the file system, or none.
func parseLimit(text string) (bytes int64, percent int, err error) {
	share, isShare := strings.CutSuffix(strings.TrimSpace(text), "%")
	switch {
	case text == "":
		return 0, 0, nil
	case text == "none":
		return -1, 0, nil
	case isShare:
		percent, err = strconv.Atoi(strings.TrimSpace(share))
		if err != nil || percent < 1 || percent > 99 {
			return 0, 0, fmt.Errorf("%q is no share of the disk from 1%% to 99%%", api.Clean(text))
		}
		return 0, percent, nil
	}
	if bytes, err = api.ParseSize(text); err != nil {
		return 0, 0, err
	}
	if bytes <= 0 {
		return 0, 0, fmt.Errorf("%q leaves no room: give a size as 20GiB, a share as 30%%, or none", api.Clean(text))
	}
	return bytes, 0, nil
}

// quotaText says that a limit stands in the way, and not the disk.
func quotaText(need, quota int64) string {
	return "the store would hold " + api.Size(need) + ", its quota is " + api.Size(quota)
}

// checkStoreLimits names what is wrong with them.
func (c *Config) checkStoreLimits() error {
	var errs []error
	for _, l := range []struct{ what, text string }{{"store quota", c.StoreQuota}, {"store reserve", c.StoreReserve}} {
		if _, _, err := parseLimit(l.text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.what, err))
		}
	}
	return errors.Join(errs...)
}
