package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// StartStoring asks the kernel to begin writing a range to disk, without waiting for it; 0 bytes are all up to
// the end. It promises nothing; the sync before the rename does.
func StartStoring(f *os.File, offset, bytes int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, bytes, unix.SYNC_FILE_RANGE_WRITE)
}

// dropCache asks the kernel to forget what it has read of a range. What was not written yet stays.
func dropCache(f *os.File, offset, bytes int64) {
	_ = unix.Fadvise(int(f.Fd()), offset, bytes, unix.FADV_DONTNEED)
}
