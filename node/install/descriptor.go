package install

import (
	"errors"
	"fmt"

	"patchmesh/policy"
)

// SpecOf is what an installer reads of a descriptor, without the hash of the payload.
func SpecOf(d *policy.Descriptor) Spec {
	return Spec{
		Update: string(d.Update), Revision: d.Revision, Installer: d.Installer, Args: d.InstallerArgs, FileName: d.FileName,
		PlainBytes: d.PlainBytes, Package: d.Package, Version: d.Version, Arch: d.Arch,
		Applicable: d.Applicable, Installed: d.Installed, Probe: d.Probe, Before: d.Before, After: d.After,
	}
}

// checker is an installer that can judge a descriptor without looking at the machine.
type checker interface{ check(s Spec) error }

// CheckDescriptor says on the seed what every machine would say later: the kind is known and its
// arguments are whole. A kind that only other systems can install passes here as well.
func CheckDescriptor(d *policy.Descriptor) error {
	i, err := For(d.Installer)
	if err != nil {
		return err
	}
	c, ok := i.(checker)
	if !ok {
		return nil
	}
	err = c.check(SpecOf(d))
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		return fmt.Errorf("installer %s: %w", d.Installer, e.Err)
	}
	return err
}
