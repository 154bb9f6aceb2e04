package origin

import (
	"context"
	"io"
	"sync"
	"time"
)

// watched is a body whose fetch is ended when too little of it comes within a window. Reading from
// it is for one goroutine.
type watched struct {
	body io.Reader
	stop context.CancelCauseFunc
	cfg  Config

	mu    sync.Mutex
	bytes int64 // in this window
	timer *time.Timer
	ended bool
	ours  bool // it is us who do not read
}

func watch(cfg Config, body io.Reader, stop context.CancelCauseFunc) *watched {
	w := &watched{body: body, stop: stop, cfg: cfg}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(cfg.Window, w.look)
	return w
}

// look runs at the end of each window.
func (w *watched) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	if w.bytes < w.cfg.MinBytes && !w.ours {
		w.stop(ErrSlow)
		return
	}
	w.bytes = 0
	w.timer.Reset(w.cfg.Window)
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.body.Read(b)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += int64(n)
	return n, err
}

func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}

// pause says that this side waits before it reads on.
func (w *watched) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ours = true
}

// resume ends the pause. After a long one the window counts as filled: a slow pace must not look like a
// slow host. A host that trickles is never paused for, since what it sends is paid for long before.
func (w *watched) resume(long bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ours = false
	if long {
		w.bytes = max(w.bytes, w.cfg.MinBytes)
	}
}
