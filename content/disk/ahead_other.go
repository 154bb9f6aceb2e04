//go:build !linux

package disk

import "os"

// StartStoring does nothing: this system has no such request; the sync before the rename waits for everything.
func StartStoring(*os.File, int64, int64) {}

// dropCache: no such advice on this system.
func dropCache(*os.File, int64, int64) {}
