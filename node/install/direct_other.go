//go:build !linux

package install

import "os"

// setDirect: on the other systems it is not worth its differences.
func setDirect(*os.File, bool) bool { return false }

func isUnfit(error) bool { return false }
