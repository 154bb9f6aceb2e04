package daemon

import (
	"context"
	"os"

	"golang.org/x/sys/windows"
)

// EnvEnd names the event by which a launcher asks the program that it has started to end: Windows has no signal for
// processes without a console.
const EnvEnd = "PATCHMESH_AGENT_END"

// untilAsked is a context that ends when the launcher asks for it. Where none has started this process it is ctx.
func untilAsked(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	p, err := windows.UTF16PtrFromString(os.Getenv(EnvEnd))
	if err != nil || os.Getenv(EnvEnd) == "" {
		return ctx, cancel
	}
	h, err := windows.OpenEvent(windows.SYNCHRONIZE, false, p)
	if err != nil {
		return ctx, cancel // the launcher is gone, and this process with it in a moment
	}
	go func() { // lives as long as the process
		if e, err := windows.WaitForSingleObject(h, windows.INFINITE); err == nil && e == windows.WAIT_OBJECT_0 {
			cancel()
		}
	}()
	return ctx, cancel
}
