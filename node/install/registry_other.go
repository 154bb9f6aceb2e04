//go:build !windows

package install

import (
	"errors"

	"patchmesh/policy"
)

func registryValue(string, string) (string, bool, error) {
	return "", false, &policy.FactError{Reason: policy.ReasonCompatOS, Err: errors.New("there is no registry on this system")}
}
