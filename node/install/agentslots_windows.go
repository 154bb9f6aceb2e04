package install

import "io/fs"

// checkOurs has nothing to look at: folders are guarded by their access lists.
func checkOurs(string, fs.FileInfo) error { return nil }

// Ours says whether this user keeps the pointer of the slots, and not only follows it.
func (s *Slots) Ours() bool { return true }
