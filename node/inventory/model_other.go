//go:build !linux && !windows && !darwin

package inventory

// maker: this system does not say.
func maker() (vendor, model string) { return "", "" }
