package node

import (
	"log/slog"

	"patchmesh/policy"
	"patchmesh/swarm"
)

// note turns what the core says into log lines and metrics.
func (n *Node) note(a swarm.Note) {
	n.metrics.note(string(a.Kind))
	if a.Kind == swarm.NoteRefused {
		n.refuse(string(a.Peer), a.Reason, a.Text)
		return
	}
	n.record(eventOf(a))
	var attrs []any
	add := func(key, v string) {
		if v != "" {
			attrs = append(attrs, slog.String(key, v))
		}
	}
	add("update", string(a.Update))
	add("peer", string(a.Peer))
	add("payload", a.Payload.Short())
	if a.State != 0 {
		add("state", a.State.String())
	}
	add("reason", string(a.Reason))
	add("detail", a.Text)
	level := slog.LevelInfo
	if a.State < 0 || a.Reason == policy.ReasonDiskShort {
		level = slog.LevelWarn
	}
	n.log.Log(n.ctx, level, string(a.Kind), attrs...)
}
