// Package bench measures patchmesh from outside, the way one would measure any other tool, and beside
// other tools: bytes are read from the counters of links, processor time and memory from the kernel, files
// by SHA-256. README.md says how to run it, how to read the numbers and how to add a contender.
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
//   - Counters are what one link has carried, headers included.
//   - Usage is what one process has cost.
//   - A Scenario is one piece of work. A Site is the network and the machines of one run of it, an
//     Update one file to bring to them, and a Process a program that runs there for it.
//   - A Contender is a way to bring updates to machines. patchmesh is one of them, driven by its
//     command line as a user would.
//   - A Result is one run of one contender, a Plan which contenders do which scenario how often.
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
//   - All contenders get the same bytes, on the same links, take turns, and are judged by the same code:
//     a machine is done when the file has its name below Machine.Got, and a run counts only if all files
//     have the SHA-256 that was released.
//   - The clock runs from the call of Distribute to the last machine. What stands before, such as daemons,
//     torrents, certificates, does not count; what the release itself takes, such as signing, does.
//   - No contender's settings are tied to a scenario, and patchmesh knows nothing of being measured.
//
// Decisions:
//
//   - The WAN link has no segmentation offloads, so its counters see frames with all their headers (1514/1448 =
//     1.046), as on a cable. Links of machines keep them, as every network card has them: cutting trains of 64 KiB
//     into frames would else be work of the processors that all machines of a site share here, and
//     three to four times what the programs themselves cost. Their bytes are read from the shapers
//     at their ends, which the kernel charges with the headers of every frame of a train; a transfer there
//     measures 1.0456, as on the WAN.
//   - Shaping is tbf on both ends of a link: netem is not in every kernel, and htb needs classes.
//   - The WAN is cut in the router, by forwarding nothing: like a dead line in the middle it says
//     nothing to either end. Taking a link down would tell both at once and delete their routes.
//   - Without a WAN the first machine of the bridge is the seed, behind a link like all others.
//   - Processor time is the kernel's account of the processes, the whole tree of each: while one lives from
//     /proc, after its end from wait4. Memory is its high-water mark in /proc: wait4 would blame a child
//     for the memory of the program that forked it.
//   - The tracker of the BitTorrent contenders and the one who watches for files are part of the bench,
//     not of a contender's cost.
//   - Results are lines that are only added, each with its session; tables and plots are made from them
//     again at any time. Medians never mix sessions, so never two builds.
//   - Flags are parsed by the standard library and plots drawn by hand: neither is worth a dependency here.
//   - Counters are read through a thread that enters the namespace; no helper program runs while
//     something is measured.
package bench
