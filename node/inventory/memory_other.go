//go:build !linux

package inventory

// MemoryFree is not known on this system.
func MemoryFree() (bytes int64, known bool) { return 0, false }
