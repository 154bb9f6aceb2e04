// Package rate is the arithmetic of slowing down: limits with a timetable, token buckets, and the wide
// area budget of a site. It is pure: the time is an argument, nothing here waits.
//
// # Nouns
//
//   - class: whom bytes are exchanged with. LAN is the own site, Site a machine of another site, WAN a
//     seed of another site or the vendor's web host.
//   - direction: Down is received, Up is sent.
//   - limit: a rate for one class and direction, always or within a window.
//   - window: hours of some days in one IANA zone, as a clock on the wall there shows them (policy.WeekHours, since they
//     may be signed).
//   - bucket: how much of a rate is used up. It may be overdrawn by one piece and is then waited for,
//     so that a piece of any size passes and the mean is exact.
//   - ledger: what each machine of a site has taken from the WAN in the present day and month. Ledgers
//     only grow and merge by the larger number, so it does not matter in which order, how often, or by
//     which way they arrive.
//
// # Invariants
//
//   - Rates count bytes as they are on the wire: OnWire adds what Ethernet, IP, TCP and TLS need.
//   - Over any span a bucket lets at most rate x span + slack + one piece through, and if something is
//     always waiting no less than rate x span.
//   - Of several limits that hold at once, one with a window beats those without; among equals the lowest.
//   - A window is judged by the wall clock: an hour that a change of the clocks leaves out is not there,
//     one that comes twice counts twice. Next names every instant at which an answer may change.
//   - A ledger of another day counts nothing, wherever it comes from.
package rate
