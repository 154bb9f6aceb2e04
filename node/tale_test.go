package node

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
)

// maxTale bounds, in bytes, what is shown of one node after a failed test.
const maxTale = 32 << 10

// tale keeps the end of a node's log.
type tale struct {
	mu   sync.Mutex
	text []byte
}

func (l *tale) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if over := len(l.text) - maxTale; over > 0 {
		l.text = append(l.text[:0], l.text[over+bytes.IndexByte(l.text[over:], '\n')+1:]...)
	}
	return len(b), nil
}

// logOnFailure gives a logger whose last lines are shown if the test fails: why a machine waited is seldom
// told by the test that ran out of patience.
func logOnFailure(t *testing.T, name string) *slog.Logger {
	l := &tale{}
	t.Cleanup(func() {
		if t.Failed() {
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Logf("log of %s:\n%s", name, l.text)
		}
	})
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
