// Package bench measures patchmesh from outside, the way one would measure any other tool: bytes are
// read from interface counters, processor time and memory from /proc, files by SHA-256.
//
// It is not a simulator (that is package sim) and knows nothing of chunks or manifests. It is no part
// of the product: only tests and cmd/patchbench use it.
//
// Nouns:
//
//   - A Lab is a small network of namespaces on one Linux machine: an origin behind a shaped WAN, a
//     router with a bridge, and machines on the bridge behind shaped links.
//   - A Host is one namespace of it. A Host with Route set reaches the origin; the others have no
//     route beyond their own LAN.
//   - Counters are what one interface has carried, headers included.
//   - Usage is what one process has cost.
//
// The network:
//
//	origin 203.0.113.1 ── WAN, 50 Mbit/s each way ── router ── bridge 10.77.0.254
//	                                                             ├─ m00 10.77.0.1   200 Mbit/s each way
//	                                                             ├─ m01 10.77.0.2
//	                                                             └─ ...
//
// Invariants:
//
//   - A Lab removes all it made: on Close, on SIGINT and SIGTERM, and what a killed run left behind is
//     removed by the next NewLab. Names carry the process id and its start time, so that labs of
//     several processes neither collide nor take each other for leftovers.
//   - Every byte to or from the origin passes the WAN link and is counted once, as the Ethernet frame
//     that a cable would carry without preamble and checksum.
//   - IPv6 is off, so that neighbour discovery does not blur the figures.
//
// Decisions:
//
//   - Segmentation offloads are off on every link. With them a counter sees 64 KiB packets with one
//     header, and the overhead of headers (1514/1448 = 1.046) disappears from the measure.
//   - Shaping is tbf on both ends of a link: netem is not in every kernel, and htb needs classes.
//   - The WAN is cut in the router, by forwarding nothing: like a dead line in the middle it says
//     nothing to either end. Taking a link down would tell both at once and delete their routes.
//   - Counters are read through a thread that enters the namespace; no helper program runs while
//     something is measured.
package bench
