package install

import (
	"io"
	"os"
	"unsafe"
)

// The copy of a payload that is put in place is written beside the page cache where the system can do
// that. The payload lies in the cache already, as it was fetched and is served from there; a second
// copy that nobody may ever read would push out what the machine is working with.

// diskBlockBytes is what direct writes have to be multiples of, in memory, offset and length: the
// largest logical block of usual disks.
const diskBlockBytes = 4096

// alignedBuffer makes a buffer that begins at a multiple of diskBlockBytes. The heap does not move.
func alignedBuffer(bytes int) []byte {
	b := make([]byte, bytes+diskBlockBytes)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (diskBlockBytes - 1)
	return b[skip : skip+bytes : skip+bytes]
}

// beside writes to f from its beginning. Buffers should come from alignedBuffer. Whatever cannot be
// written directly goes the usual way.
func beside(f *os.File) io.Writer {
	if !setDirect(f, true) {
		return &ahead{f: f}
	}
	return &direct{f: f}
}

// direct writes to a file that is set to direct writing, until something does not fit.
type direct struct {
	f    *os.File
	done int64
	off  *ahead // how it goes on after that
}

func (d *direct) Write(b []byte) (int, error) {
	if d.off != nil {
		return d.off.Write(b)
	}
	whole := len(b) &^ (diskBlockBytes - 1)
	n, err := d.f.Write(b[:whole])
	d.done += int64(n)
	if n == len(b) || err != nil && !isUnfit(err) {
		return n, err
	}
	setDirect(d.f, false)
	d.off = &ahead{f: d.f, written: d.done, told: d.done}
	rest, err := d.off.Write(b[n:])
	return n + rest, err
}
