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
}

func (c *Client) watch(body io.Reader, stop context.CancelCauseFunc) *watched {
	w := &watched{body: body, stop: stop, cfg: c.cfg}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(c.cfg.Window, w.look)
	return w
}

// look runs at the end of each window.
func (w *watched) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	if w.bytes < w.cfg.MinBytes {
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
