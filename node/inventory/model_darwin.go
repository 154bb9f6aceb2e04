package inventory

import "golang.org/x/sys/unix"

// maker tells the model of a Mac; there is one maker of them.
func maker() (vendor, model string) {
	m, err := unix.Sysctl("hw.model")
	if err != nil {
		return "", ""
	}
	return "Apple", named(m)
}
