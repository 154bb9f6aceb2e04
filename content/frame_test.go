package content

import (
	"bytes"
	"testing"
)

// Whatever is packed can be opened: also a text that is nearly nothing but the same words again, as of a machine where
// thousands of updates failed with the same long message.
func TestFrameOfTheSameWordsAgainIsOpened(t *testing.T) {
	for _, plain := range [][]byte{
		bytes.Repeat([]byte{'x'}, 256),
		bytes.Repeat([]byte("dpkg: the lock is held by somebody else. "), 4<<10),
		bytes.Repeat([]byte{' '}, MaxFramePlain),
	} {
		frame := AppendFrame([]byte("head"), plain)
		got, err := OpenFrame(frame[len("head"):])
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes became %d, and %d again: %v", len(plain), len(frame), len(got), err)
		}
		if len(frame) > len(plain)/MaxFrameRatio+64 {
			t.Errorf("%d bytes became %d", len(plain), len(frame))
		}
	}
}
