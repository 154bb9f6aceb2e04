//go:build !windows

package inventory

import "os"

// zoneNames are what the system calls its zone.
func zoneNames() []string {
	tz, set := os.LookupEnv("TZ")
	return filesZones(tz, set, "/etc/localtime", "/etc/timezone")
}
