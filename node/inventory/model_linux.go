package inventory

import (
	"path/filepath"
	"strings"
)

// maker tells who made the hardware and what he calls it, as the firmware says; empty: it does not. Unlike the numbers of
// a machine, everybody may read this.
func maker() (vendor, model string) { return makerIn("/sys") }

func makerIn(sys string) (vendor, model string) {
	dmi := filepath.Join(sys, "class", "dmi", "id")
	vendor, model = named(firmwareLine(filepath.Join(dmi, "sys_vendor"))), named(firmwareLine(filepath.Join(dmi, "product_name")))
	if model == "" { // boards without DMI name themselves in the device tree, whose texts end in a zero byte
		model = named(strings.TrimRight(firmwareLine(filepath.Join(sys, "firmware", "devicetree", "base", "model")), "\x00"))
	}
	return vendor, model
}
