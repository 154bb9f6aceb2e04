package daemon

import "context"

// untilAsked is ctx: a launcher asks by a signal here.
func untilAsked(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
