package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Leftovers lists the local sockets of a data folder on which nobody listens: a node that was killed leaves its files.
// extra is another folder where that node may have had them; "" is none. Only a refused connection proves that nobody
// is there, so a socket that merely does not answer is not listed.
func Leftovers(dataDir, extra string) (files []string) {
	dirs := []string{socketDir(dataDir)}
	if extra != "" && !slices.Contains(dirs, extra) {
		dirs = append(dirs, extra)
	}
	for _, dir := range dirs {
		for _, name := range []string{adminSocket, statusSocket} {
			if dead(dir, name) {
				files = append(files, filepath.Join(dir, name))
			}
		}
	}
	return files
}

// dead: it is a socket, and the system itself says that nobody listens on it.
func dead(dir, name string) bool {
	fi, err := os.Lstat(filepath.Join(dir, name))
	if err != nil || fi.Mode().Type() != fs.ModeSocket {
		return false
	}
	path, done, err := socketPath(dir, name)
	if err != nil {
		return false
	}
	defer done()
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Sweep removes those of the files that are still dead.
func Sweep(files []string) error {
	var errs []error
	for _, f := range files {
		if !dead(filepath.Dir(f), filepath.Base(f)) {
			continue
		}
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove a socket that nobody listens on: %w", err))
		}
	}
	return errors.Join(errs...)
}
