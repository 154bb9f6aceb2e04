package source

import (
	"archive/tar"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// zstdDeb makes a package by hand whose control archive is packed as zstd, with so much before its control file.
func zstdDeb(t testing.TB, before int) []byte {
	t.Helper()
	var plain bytes.Buffer
	tw := tar.NewWriter(&plain)
	for _, f := range [][2]string{{"./triggers", strings.Repeat("x", before)}, {"./control", "Package: zst\nVersion: 1-1\nArchitecture: all\nDescription: d\n"}} {
		if err := tw.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return ar([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.zst", string(z.EncodeAll(plain.Bytes(), nil))})
}

// R-C14: packages whose members are packed as zstd, as Ubuntu's are, are read as all others, within the same bounds: what
// swells beyond them, or asks for memory by its header alone, is refused.
func TestRC14ZstdPackagesAreReadWithinBounds(t *testing.T) {
	whole := zstdDeb(t, 100)
	if m, err := Describe("x.deb", bytes.NewReader(whole)); err != nil || m.Package != "zst" || m.Version != "1-1" {
		t.Fatalf("%+v, %v", m, err)
	}
	for name, body := range map[string][]byte{
		"a bomb":             zstdDeb(t, maxControlPlain+1<<20),
		"cut":                whole[:len(whole)-60],
		"no zstd":            ar([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.zst", "plain text"}),
		"a window of 2 GiB":  ar([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.zst", "\x28\xb5\x2f\xfd\x00\xa8" + "\x01\x00\x00" + strings.Repeat("\x00", 64)}),
		"a size of exabytes": ar([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.zst", "\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\x0f" + strings.Repeat("\x00", 64)}),
	} {
		if m, err := Describe("x.deb", bytes.NewReader(body)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}
