package inventory

import "golang.org/x/sys/windows/registry"

// maker tells who made the hardware and what he calls it, as Windows has read it from the firmware.
func maker() (vendor, model string) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `HARDWARE\DESCRIPTION\System\BIOS`, registry.QUERY_VALUE)
	if err != nil {
		return "", ""
	}
	defer k.Close()
	return named(value(k, "SystemManufacturer")), named(value(k, "SystemProductName"))
}
