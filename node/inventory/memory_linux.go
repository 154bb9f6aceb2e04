package inventory

import "strconv"

// MemoryFree is what programs may still take of the memory without swapping; known is false where that cannot be
// found out.
func MemoryFree() (bytes int64, known bool) {
	for f := range fieldsOf("/proc/meminfo") {
		if len(f) == 3 && f[0] == "MemAvailable:" && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n << 10, err == nil && n >= 0 && n < 1<<50
		}
	}
	return 0, false
}
