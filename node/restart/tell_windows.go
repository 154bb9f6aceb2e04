package restart

import (
	"os"
	"path/filepath"
)

// privileged: msg.exe says so itself to who may not.
func privileged() bool { return true }

// tellCommand is msg.exe, which not every edition has; people have an hour to read it.
func tellCommand(text string) []string {
	return []string{filepath.Join(os.Getenv("SystemRoot"), "System32", "msg.exe"), "*", "/TIME:3600", text}
}
