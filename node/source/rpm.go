package source

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Limits while reading an .rpm (the format of RPM 4: lead, signature header, header, payload).
const (
	rpmLeadBytes   = 96
	maxRPMEntries  = 64 << 10
	maxRPMHeader   = 32 << 20
	rpmTagName     = 1000
	rpmTagVersion  = 1001
	rpmTagRelease  = 1002
	rpmTagEpoch    = 1003
	rpmTagSummary  = 1004
	rpmTagArch     = 1022
	rpmTypeInt32   = 4
	rpmTypeString  = 6
	rpmTypeI18N    = 9
	rpmMaxText     = 4 << 10
	rpmHeaderMagic = "\x8e\xad\xe8\x01"
)

var (
	rpmName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,127}$`)
	rpmPart    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~^_]{0,63}$`)
	rpmGoArchs = map[string]string{
		"noarch": "", "x86_64": "amd64", "aarch64": "arm64", "armv7hl": "arm", "i386": "386", "i586": "386", "i686": "386",
		"ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loong64",
	}
)

// describeRPM reads the header that says what the package is.
func describeRPM(r io.Reader) (Meta, error) {
	br := bufio.NewReader(r)
	lead := make([]byte, rpmLeadBytes)
	if _, err := io.ReadFull(br, lead); err != nil || string(lead[:4]) != "\xed\xab\xee\xdb" {
		return Meta{}, fmt.Errorf("no RPM package: %w", ErrFormat)
	}
	if binary.BigEndian.Uint16(lead[6:]) != 0 {
		return Meta{}, fmt.Errorf("a source package: %w", ErrFormat)
	}
	_, store, err := rpmHeader(br)
	if err != nil {
		return Meta{}, err
	}
	if _, err := br.Discard((8 - len(store)%8) % 8); err != nil { // the header begins on a boundary of eight
		return Meta{}, fmt.Errorf("cut package: %w", ErrFormat)
	}
	index, store, err := rpmHeader(br)
	if err != nil {
		return Meta{}, err
	}
	text := func(tag uint32) string { return rpmText(index, store, tag) }
	m := Meta{Installer: "rpm", Package: text(rpmTagName), Version: text(rpmTagVersion) + "-" + text(rpmTagRelease)}
	if !rpmName.MatchString(m.Package) || !rpmPart.MatchString(text(rpmTagVersion)) || !rpmPart.MatchString(text(rpmTagRelease)) {
		return Meta{}, fmt.Errorf("package %.40q version %.60q: %w", m.Package, m.Version, ErrFormat)
	}
	if epoch := rpmNumber(index, store, rpmTagEpoch); epoch > 0 {
		m.Version = fmt.Sprintf("%d:%s", epoch, m.Version)
	}
	arch, known := rpmGoArchs[text(rpmTagArch)]
	if !known {
		return Meta{}, fmt.Errorf("architecture %.40q is not known: %w", text(rpmTagArch), ErrFormat)
	}
	m.Arch, m.Title = arch, strings.TrimSpace(m.Package+" "+m.Version+": "+text(rpmTagSummary))
	return m, nil
}

// rpmHeader reads one header: an index of 16 bytes an entry, and the store that it points into.
func rpmHeader(r io.Reader) (index, store []byte, err error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:4]) != rpmHeaderMagic {
		return nil, nil, fmt.Errorf("no RPM header: %w", ErrFormat)
	}
	entries, size := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	if entries > maxRPMEntries || size > maxRPMHeader {
		return nil, nil, fmt.Errorf("RPM header of %d entries and %d bytes: %w", entries, size, ErrFormat)
	}
	// Read as it comes: a short file that claims a long header must not cost its memory.
	b, err := io.ReadAll(io.LimitReader(r, int64(entries)*16+int64(size)))
	if err != nil || len(b) != int(entries)*16+int(size) {
		return nil, nil, fmt.Errorf("cut RPM header: %w", ErrFormat)
	}
	return b[:entries*16], b[entries*16:], nil
}

// rpmEntry finds a tag of one of the types; nil: it is not there.
func rpmEntry(index, store []byte, tag uint32, types ...uint32) []byte {
	for ; len(index) >= 16; index = index[16:] {
		if binary.BigEndian.Uint32(index) != tag {
			continue
		}
		kind, at := binary.BigEndian.Uint32(index[4:]), binary.BigEndian.Uint32(index[8:])
		for _, t := range types {
			if kind == t && uint64(at) < uint64(len(store)) {
				return store[at:]
			}
		}
	}
	return nil
}

func rpmText(index, store []byte, tag uint32) string {
	b := rpmEntry(index, store, tag, rpmTypeString, rpmTypeI18N)
	s, _, ok := strings.Cut(string(b[:min(len(b), rpmMaxText)]), "\x00")
	if !ok {
		return ""
	}
	return s
}

func rpmNumber(index, store []byte, tag uint32) uint32 {
	b := rpmEntry(index, store, tag, rpmTypeInt32)
	if len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}
