// Package swarmtest runs the scripts in swarm/testdata: short stories of one machine, told to a
// swarm.Core event by event, with the actions that it answered written below.
//
//	story                                # everything before is forgotten
//	machine c                            # the machine that is tested
//	peer a have=1111                     # a neighbour that has all four chunks of u1
//	peer b have=11.. want                # one that has two and wants the others
//	manifest u1=install
//	----
//	c: fetch-chunk u1/2 from=a
//
// What stands above "----" is typed by people, what stands below is written by
// `go test ./swarm -rewrite` and compared byte for byte by `go test ./swarm`. A block without "story"
// goes on where the last one ended.
//
// # Given
//
//   - show WORDS: print these actions only, in the whole file. Without it all are printed.
//   - manual WORDS: leave these requests open until the script ends them. The others (describe, open,
//     assemble, detect, install, remove, report, cancel) are answered at once, and well.
//   - config NAME=VALUE: another number of swarm.Config, or Sources=NAMES, before machine.
//   - machine NAME [site=S] [egress] [cache] [seed]; update NAME [chunks=N] [chunk-bytes=N] [stored=BITS] [away].
//     revise NAME: a new revision.
//     Updates that are merely mentioned have four chunks of 256 KiB. An update that is away has its
//     documents at peers only.
//   - line UPDATE NAMES: prints the order in which machines take the WAN lease.
//
// # Events
//
//   - peer NAMES [site=S] [seed] [egress] [cache] [wifi] [older] [linkless] [groups=G,G] [subnet] [head=N] [have=BITS] [UPDATE=BITS] [want] [unsynced]; down NAME;
//     flap NAMES times=N every=TIME; synced NAME; changed NAME egress|no-egress; egress on|off; link failed
//   - heard [NAME] version=N [root=N]; manifest [version=N] [root=N] [epoch=N] [expires=TIME] [window=HH:MM/MINUTES] [settings=NAME:VALUE;...] [UPDATE=ACTION[+expedite|+deadline:TIME][@GROUP]] [UPDATE=hold[:TIME]]
//     [elsewhere] (it exists, this machine has it not yet)
//   - have NAME BITS [want]; gained NAME CHUNKS; lost NAME; lease NAME claimed|given-up [UPDATE]
//   - stored UPDATE/CHUNK [from=NAME] (UPDATE/* is the oldest one asked for); done WHAT [UPDATE] [present|absent] [newest]; failed WHAT [from=NAME] CLASS [REASON]
//   - asks NAME UPDATE/CHUNK [times=N]; sent NAME UPDATE/CHUNK
//   - queued NAME seq=N; acked NAME
//   - store [over=BYTES] [pinned] UPDATES: what the store holds, and what has to go; damage UPDATE/CHUNK;
//     dropped UPDATE: people took it from the store
//   - rates [lan=N] [site=N] [wan=N]: KiB/s that may be received, "none" or, left out, without limit; budget
//     [day=N] [month=N] [passable]: of the site, in KiB; spent NAME MACHINE=N...: what NAME says was taken today
//   - conditions [battery=PERCENT] [cpu=PERCENT] [disk-queue=N] [free=MIB] [other=KIB/S] [metered] [vpn] [wifi] [away]; gates [battery=PERCENT] [cpu=PERCENT] [disk-queue=N]: when they close from now on; gated NAME [serve=REASON] [wan=REASON];
//     docked NAME: it is not on Wi-Fi any more
//   - sized N: machines in the site; trail NAME lease|source|sought|none [UPDATE] [holder=NAME] [hops=N] seq=N: what NAME
//     tells of; relay NAME on|off [UPDATE]: NAME asks for it to be fetched for it
//   - wait TIME: time passes, and the core is woken whenever it asked to be; sleep TIME: the same without
//     waking it, as on a machine that was suspended; back TIME: the clock is turned back; until ACTION [TIME]: wait for the first such action
//   - restart: a new core with the last saved snapshot and what is in the store
//   - view [tasks] [payloads] [peers] [store] [eligible]: what people would see
package swarmtest
