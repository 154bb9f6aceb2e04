package policy

import "os"

// soak is the short count, or the full one with PATCHMESH_SOAK=1.
func soak(short, full int) int {
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		return full
	}
	return short
}
