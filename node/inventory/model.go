package inventory

import (
	"slices"
	"strings"
)

// named is a text of the firmware; empty for one that makers leave in every machine.
func named(v string) string {
	v = line(v)
	low := strings.ToLower(v)
	for _, word := range []string{"to be filled", "not specified", "not applicable", "o.e.m", "default string", "system manufacturer", "system product name"} {
		if strings.Contains(low, word) {
			return ""
		}
	}
	if slices.Contains([]string{"none", "n/a", "unknown", "empty", "invalid", "0", "-"}, low) {
		return ""
	}
	return v
}
