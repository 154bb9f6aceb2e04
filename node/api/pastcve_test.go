package api

import (
	"strings"
	"testing"
)

// CVE-2020-26283, go-ipfs: text from peers reaches the terminal with its control characters and
// rewrites what an admin reads. Every name, error and log line from elsewhere passes Clean.
func TestPastCVE202026283(t *testing.T) {
	for _, evil := range []string{"\x1b]0;title\x07", "\x1b[2J\x1b[H", "ok\r\x1b[Kall machines are patched", "\x9b31m", "a\x08\x08b", "\u202efdp.exe"} {
		if got := Clean(evil); strings.ContainsAny(got, "\x1b\x07\x08\r\u009b\u202e") {
			t.Errorf("%q becomes %q", evil, got)
		}
	}
}
