package main

import (
	"os"
	"path/filepath"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/sandbox"
)

// confine leaves a node whose updates are installed by another process nothing but its own folders, before
// it opens anything. A node that installs by itself needs the whole file system.
func confine(cfg node.Config) error {
	if cfg.ApplySocket == "" {
		return nil
	}
	folders := []string{cfg.DataDir, filepath.Dir(cfg.ApplySocket)}
	if cfg.Sockets != "" {
		folders = append(folders, cfg.Sockets)
	}
	for i, dir := range folders {
		full, err := filepath.Abs(dir)
		if err == nil {
			_, err = os.Stat(full)
		}
		if err != nil {
			return api.Errorf(api.ClassFailed, "folder %s: %v", dir, err).WithHint("'patchmesh join' makes the data folder, 'patchmesh service install' the others")
		}
		folders[i] = full
	}
	temporary := filepath.Join(folders[0], "work") // the database may want to write beside itself
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"TMPDIR", "SQLITE_TMPDIR"} {
		if err := os.Setenv(name, temporary); err != nil {
			return err
		}
	}
	ok, err := sandbox.Confine(folders...)
	if err != nil {
		return err
	}
	if ok {
		cfg.Log.Info("this process can open its own folders and nothing else", "folders", folders)
	} else {
		cfg.Log.Info("this kernel has no Landlock; only the rights of the user bound what this process can open")
	}
	return nil
}
