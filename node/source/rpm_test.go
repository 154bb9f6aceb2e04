package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// rpmFile makes the beginning of a package: lead, an empty signature header, and a header of texts.
func rpmFile(epoch uint32, texts map[uint32]string) []byte {
	var b bytes.Buffer
	lead := make([]byte, rpmLeadBytes)
	copy(lead, "\xed\xab\xee\xdb\x03")
	b.Write(lead)
	header := func(index, store []byte) {
		b.WriteString(rpmHeaderMagic + "\x00\x00\x00\x00")
		_ = binary.Write(&b, binary.BigEndian, []uint32{uint32(len(index) / 16), uint32(len(store))})
		b.Write(index)
		b.Write(store)
	}
	header(nil, []byte("odd"))
	b.Write(make([]byte, 5))
	var index, store []byte
	for tag, s := range texts {
		index = binary.BigEndian.AppendUint32(index, tag)
		index = binary.BigEndian.AppendUint32(index, rpmTypeString)
		index = binary.BigEndian.AppendUint32(index, uint32(len(store)))
		index = binary.BigEndian.AppendUint32(index, 1)
		store = append(append(store, s...), 0)
	}
	if epoch > 0 {
		index = binary.BigEndian.AppendUint32(index, rpmTagEpoch)
		index = binary.BigEndian.AppendUint32(index, rpmTypeInt32)
		index = binary.BigEndian.AppendUint32(index, uint32(len(store)))
		index = binary.BigEndian.AppendUint32(index, 1)
		store = binary.BigEndian.AppendUint32(store, epoch)
	}
	header(index, store)
	return b.Bytes()
}

func texts(arch string) map[uint32]string {
	return map[uint32]string{rpmTagName: "openssl-libs", rpmTagVersion: "3.0.7", rpmTagRelease: "27.el9", rpmTagArch: arch, rpmTagSummary: "a library"}
}

func TestRH4AnRPMSaysWhatItIs(t *testing.T) {
	m, err := Describe("x.RPM", bytes.NewReader(rpmFile(1, texts("x86_64"))))
	want := Meta{DefaultID: "openssl-libs-1-3.0.7-27.el9", Title: "openssl-libs 1:3.0.7-27.el9: a library", Installer: "rpm", Package: "openssl-libs", Version: "1:3.0.7-27.el9", Arch: "amd64"}
	if err != nil || m != want {
		t.Errorf("%+v, %v", m, err)
	}
	whole := rpmFile(0, texts("noarch"))
	for n := range len(whole) {
		if _, err := Describe("x.rpm", bytes.NewReader(whole[:n])); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	evil := texts("noarch")
	evil[rpmTagName] = "--eval=x"
	if _, err := Describe("x.rpm", bytes.NewReader(rpmFile(0, evil))); !errors.Is(err, ErrFormat) {
		t.Errorf("a name that is an option: %v", err)
	}
}

func FuzzRPM(f *testing.F) {
	f.Add(rpmFile(1, texts("x86_64")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := describeRPM(bytes.NewReader(b)); err == nil && (!rpmName.MatchString(m.Package) || m.Version == "") {
			t.Errorf("%+v", m)
		}
	})
}
