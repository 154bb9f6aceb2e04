package restart

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// privileged: msg.exe says so itself to who may not.
func privileged() bool { return true }

// tellCommand is msg.exe, which not every edition has; people have an hour to read it.
func tellCommand(text string) []string {
	return []string{systemTool("msg.exe"), "*", "/TIME:3600", text}
}

// systemTool is a program of the system's own folder, as the system names that: an environment is the word of whoever
// has begun this, and a user may set its variables for the administrator's prompt.
func systemTool(name string) string {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		dir = `C:\Windows\System32`
	}
	return filepath.Join(dir, name)
}
