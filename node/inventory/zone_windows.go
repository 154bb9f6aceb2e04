package inventory

import (
	"golang.org/x/sys/windows/registry"
)

// zoneNames are what the system's zone may be called elsewhere.
func zoneNames() []string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Control\TimeZoneInformation`, registry.QUERY_VALUE)
	if err != nil {
		return nil
	}
	defer k.Close()
	return windowsZones(value(k, "TimeZoneKeyName"))
}
