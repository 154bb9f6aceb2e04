package install

import (
	"fmt"
	"slices"
)

// all is the table of installers. A new kind is a new file and one line here.
var all = []Installer{
	agentInstaller{},
	fileInstaller{},
	newDeb(),
	archiveInstaller{},
	scriptInstaller{},
	newRPMInstaller(),
	msiInstaller{},
	msuInstaller{},
}

// For finds the installer of a kind. *Error with ReasonMissing if this program has none.
func For(kind string) (Installer, error) {
	for _, i := range all {
		if i.Kind() == kind {
			return i, nil
		}
	}
	return nil, &Error{Reason: ReasonMissing, What: fmt.Sprintf("find an installer for %q", kind)}
}

// Known lists the kinds that this program has, on this machine or another, sorted.
func Known() []string {
	var kinds []string
	for _, i := range all {
		kinds = append(kinds, i.Kind())
	}
	slices.Sort(kinds)
	return kinds
}

// Kinds lists the kinds that work on this machine, sorted.
func Kinds() []string {
	var kinds []string
	for _, i := range all {
		if i.Available() == nil {
			kinds = append(kinds, i.Kind())
		}
	}
	slices.Sort(kinds)
	return kinds
}
