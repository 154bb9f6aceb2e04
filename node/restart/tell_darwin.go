package restart

func privileged() bool { return false }

// tellCommand: the wall(1) of this system reads a file.
func tellCommand(string) []string { return nil }
