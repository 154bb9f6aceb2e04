package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"patchmesh/node/api"
)

// clearScreen goes home and clears what is below: the picture changes without flicker.
const clearScreen = "\x1b[H\x1b[J"

// watch shows the status again and again until ctx ends, which is no failure: somebody has seen enough.
// On a terminal it redraws; with --json it prints one document on each line.
func (a *app) watch(ctx context.Context, every time.Duration, q api.StatusQuery) error {
	if every < 100*time.Millisecond || every > time.Hour {
		return api.Errorf(api.ClassUsage, "an interval of %v is not possible", every).WithHint("from 100ms to 1h")
	}
	out, isFile := a.out.(*os.File)
	redraw := isFile && term.IsTerminal(int(out.Fd()))
	return a.running(func(s api.Service) error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			f, err := s.Status(ctx, q)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			if err := a.frame(f, redraw); err != nil {
				return nil // whoever read it has gone
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// frame writes one picture at once.
func (a *app) frame(f *api.Fleet, redraw bool) error {
	var b bytes.Buffer
	if a.json {
		if err := json.NewEncoder(&b).Encode(f); err != nil {
			return err
		}
	} else {
		if redraw {
			b.WriteString(clearScreen)
		}
		writeFleet(&b, f)
		if !redraw {
			b.WriteByte('\n')
		}
	}
	_, err := io.Copy(a.out, &b)
	return err
}
