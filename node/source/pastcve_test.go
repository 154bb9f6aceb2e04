package source

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// ar makes a package of members, as dpkg-deb lays them out.
func ar(members ...[2]string) []byte {
	b := bytes.NewBufferString("!<arch>\n")
	for _, m := range members {
		fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", m[0], 0, 0, 0, "100644", len(m[1]), m[1])
		if len(m[1])%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// S-PASTCVE, packages: advisories of what reads them. An admin imports them on the seed, from a vendor
// who may have been broken into.
func TestPastCVEs(t *testing.T) {
	xzMagic := "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46"
	for _, c := range []struct {
		id, of, here string
		body         []byte
	}{
		{"CVE-2021-29482", "ulikunitz/xz", "a length without end keeps the reader busy for ever",
			ar([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.xz", xzMagic + string(bytes.Repeat([]byte{0xff}, 4096))})},
		{"CVE-2025-58058", "ulikunitz/xz", "a header asks for gigabytes before a byte is checked",
			ar([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.xz", xzMagic + "\x02\x00\x21\x01\x28\x00\x00\x00" + string(make([]byte, 4096))})},
	} {
		t.Run(c.id+" "+c.of, func(t *testing.T) {
			t.Log(c.here)
			ended := make(chan error, 1)
			go func() {
				_, err := Describe("x.deb", bytes.NewReader(c.body))
				ended <- err
			}()
			select {
			case err := <-ended:
				if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "no control file") {
					t.Fatalf("%v, want ErrFormat from behind the xz reader", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("it does not end")
			}
		})
	}
}
