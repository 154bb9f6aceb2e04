package disk

import "golang.org/x/sys/unix"

// space is what an unprivileged writer may still take of the file system below path, and its size.
func space(path string) (freeBytes, totalBytes int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, err
	}
	unit := int64(st.Frsize) // blocks are counted in fragments where a file system (FUSE) tells them apart
	if unit == 0 {
		unit = int64(st.Bsize)
	}
	return int64(st.Bavail) * unit, int64(st.Blocks) * unit, nil
}
