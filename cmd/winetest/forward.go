package winetest

import (
	"bytes"
	"encoding/binary"
)

// The parts of a program file of Windows that a library needs which has no code (Microsoft, "PE format").
const (
	peHeaderAt    = 0x40
	peAlignment   = 0x200  // of parts in the file
	peSectionAt   = 0x1000 // of parts in memory
	peImageBase   = 0x6a0000000
	peMachineX64  = 0x8664
	peIsLibrary   = 0x2022 // a program file, of large addresses, that is a library
	peOptional64  = 0x20b
	peDirectories = 16
)

// forwarder is a 64-bit library of one function, which is that of another library ("advapi32.Name").
func forwarder(library, function, to string) []byte {
	section, exportsBytes := forwardSection(library, function, to)
	put := func(b *bytes.Buffer, v ...any) {
		for _, x := range v {
			_ = binary.Write(b, binary.LittleEndian, x) // into memory
		}
	}
	var b bytes.Buffer
	b.WriteString("MZ")
	b.Write(make([]byte, peHeaderAt-6))
	put(&b, uint32(peHeaderAt))
	b.WriteString("PE\x00\x00")
	put(&b, uint16(peMachineX64), uint16(1), uint32(0), uint32(0), uint32(0), uint16(112+8*peDirectories), uint16(peIsLibrary))
	put(&b, uint16(peOptional64), uint16(0), uint32(0), uint32(peAlignment), uint32(0), uint32(0), uint32(0))
	put(&b, uint64(peImageBase), uint32(peSectionAt), uint32(peAlignment))
	put(&b, uint16(6), uint16(0), uint16(0), uint16(0), uint16(6), uint16(0), uint32(0))                  // versions
	put(&b, uint32(2*peSectionAt), uint32(peAlignment), uint32(0), uint16(3), uint16(0))                  // sizes, of a console
	put(&b, uint64(1<<20), uint64(1<<12), uint64(1<<20), uint64(1<<12), uint32(0), uint32(peDirectories)) // stack and heap
	put(&b, uint32(peSectionAt), uint32(exportsBytes), [peDirectories - 1][2]uint32{})                    // directories: only what it gives
	put(&b, [8]byte{'.', 'e', 'd', 'a', 't', 'a'}, uint32(len(section)), uint32(peSectionAt), uint32(peAlignment), uint32(peAlignment))
	put(&b, uint32(0), uint32(0), uint32(0), uint32(0x40000040)) // data that can be read
	b.Write(make([]byte, peAlignment-b.Len()))
	b.Write(section)
	b.Write(make([]byte, 2*peAlignment-b.Len()))
	return b.Bytes()
}

// forwardSection is the table of exports: an address within it names another library's function.
func forwardSection(library, function, to string) (section []byte, size int) {
	const table = 40
	at := func(offset int) uint32 { return uint32(peSectionAt + offset) }
	names := table + 4 + 4 + 2
	libraryAt := names
	functionAt := libraryAt + len(library) + 1
	toAt := functionAt + len(function) + 1
	var b bytes.Buffer
	for _, v := range []uint32{0, 0, 0, at(libraryAt), 1, 1, 1, at(table), at(table + 4), at(table + 8), at(toAt), at(functionAt)} {
		_ = binary.Write(&b, binary.LittleEndian, v) // into memory
	}
	b.Write([]byte{0, 0})
	b.WriteString(library + "\x00" + function + "\x00" + to + "\x00")
	return b.Bytes(), b.Len()
}
