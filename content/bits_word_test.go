package content_test

import (
	"testing"

	"patchmesh/content"
)

// Words are the set, 64 numbers at a time, and nothing lies beyond its end.
func TestWordsAreTheSet(t *testing.T) {
	b := content.NewBits(130)
	for _, i := range []int{0, 63, 64, 100, 129} {
		b.Set(i)
	}
	for i := range 192 {
		if got := b.Word(i/64)>>(i%64)&1 == 1; got != b.Has(i) {
			t.Errorf("number %d: in a word %v, in the set %v", i, got, b.Has(i))
		}
	}
	if b.Word(-1) != 0 || b.Word(3) != 0 {
		t.Error("something lies beyond the set")
	}
}
