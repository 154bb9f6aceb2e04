package restart

import "os"

func privileged() bool { return os.Geteuid() == 0 }

// tellCommand is wall(1), which takes a message as its argument.
func tellCommand(text string) []string { return []string{"/usr/bin/wall", text} }
