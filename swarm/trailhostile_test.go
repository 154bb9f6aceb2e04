package swarm

// claimEvent is something about who fetches what for the site, true or not.
func (h *hostile) claimEvent() {
	switch h.upTo(8) {
	case 0, 1:
		h.step(LeaseHeard{From: h.peer(), Payload: h.payload(), Held: h.byte()%2 == 0})
	case 2:
		h.step(RelayAsked{From: h.peer(), Payload: h.payload(), On: h.byte()%3 > 0})
	case 3:
		h.step(SiteSized{Machines: []int{0, 1, 4, 1000, -5}[h.upTo(5)]})
	default:
		from := h.peer()
		t := Trail{Kind: TrailKind(h.upTo(5)), Holder: h.peer(), Seq: uint64(h.byte()), Hops: h.upTo(MaxTrailHops + 2)}
		if h.byte()%2 == 0 {
			t.Holder, t.Hops = from, 0
		}
		if h.byte()%16 == 0 {
			t.Seq, t.Hops = 1<<64-1, -1
		}
		h.step(TrailHeard{From: from, Payload: h.payload(), Trail: t})
	}
	strange := 0
	for _, b := range h.c.trails.books {
		if h.c.byMap[b.id] == nil {
			strange++
		}
		if len(b.told) > h.c.neighbours || len(b.holders) > maxTrailHolders {
			h.t.Fatalf("%s: a book of %d trails and %d holders with %d neighbours", h.name, len(b.told), len(b.holders), h.c.neighbours)
		}
	}
	if strange > maxTrailBooks+len(h.infos) { // those that were known once may still be spoken of
		h.t.Fatalf("%s: %d books of payloads that are not known", h.name, strange)
	}
}
