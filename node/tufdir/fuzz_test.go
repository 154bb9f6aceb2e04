package tufdir

import (
	"bytes"
	"testing"
)

// FuzzMark: the mark beside the root says from which version on the old timestamp and snapshot are to
// be forgotten. Damage must not be taken for "none": an older head would pass.
func FuzzMark(f *testing.F) {
	for _, s := range []string{"3\n", "0\n", "-1", "", "9223372036854775808", " 7 ", "1e3", "３"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMachine()
		c := &Client{files: m}
		if err := c.Init([]byte("root")); err != nil {
			t.Fatal(err)
		}
		m.seen[markFile] = string(b)
		root, mark, err := c.Begin()
		if err != nil {
			return
		}
		if !bytes.Equal(root, []byte("root")) || mark < 1 {
			t.Fatalf("%q is read as the mark %d", b, mark)
		}
		if err := c.SaveRoot(root, mark); err != nil {
			t.Fatal(err)
		}
		if _, again, err := c.Begin(); err != nil || again != mark {
			t.Fatalf("the mark %d comes back as %d, %v", mark, again, err)
		}
	})
}
