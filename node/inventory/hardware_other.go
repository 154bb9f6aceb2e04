//go:build !linux

package inventory

// Hardware tells nothing here: Windows and macOS give the firmware's numbers only through WMI and IOKit,
// which need COM or cgo. A machine that is set up anew then joins as a new one, and an admin removes
// the old row.
func Hardware() []string { return nil }
