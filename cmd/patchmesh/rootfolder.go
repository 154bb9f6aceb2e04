package main

import (
	"os"

	"patchmesh/node/api"
)

// checkRoot refuses at start a folder to install below that is not there: nothing could be detected or installed, and
// each update alone would tell.
func checkRoot(root string) error {
	if root == "" {
		return nil
	}
	if fi, err := os.Stat(root); err != nil {
		return api.Errorf(api.ClassFailed, "the folder to install below cannot be used: %v", err).WithHint("make it first, or leave out --root to keep the system itself up to date")
	} else if !fi.IsDir() {
		return api.Errorf(api.ClassFailed, "%s is no folder: updates cannot be installed below it", api.Clean(root)).WithHint("--root takes a folder; leave it out to keep the system itself up to date")
	}
	return nil
}
