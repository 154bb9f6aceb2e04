// Package transport is how machines of a mesh talk: one authenticated, encrypted connection per pair,
// messages both ways on it, chunks, documents, enrolment and gossip streams beside them. It moves
// what it is told to move; whom to talk to, what to ask for and what to believe is decided above.
//
// # Nouns
//
//   - A link is one libp2p connection: TCP, TLS 1.3, yamux. The peer's identity is its Ed25519 key.
//   - A session is a link on which both sides have admitted each other's hello. There is at most one
//     per peer, however the two dial each other.
//   - A data connection is a second one to the same peer, TCP and TLS alone, for the chunks of one
//     direction. It belongs to a session, and ends with it (data.go).
//   - A stranger is the other end of an accepted link before that. It holds a seat at the door: there
//     are few, each for seconds and for a few kilobytes.
//   - A visit is one stream of a machine of another site that carries things between sites, outside any
//     session. Config.Visiting says for whom and for what (visit.go).
//   - A ref names an ask for a chunk that waits for SendChunk or RefuseChunk.
//
// # What a link goes through
//
//	accepted ──▶ TLS ──▶ hello ──▶ admitted? ──▶ newest? ──▶ ready ──▶ session ──▶ gone
//	  seat at the door ............................................ seat left
//	dialled  ──▶ TLS ──▶ hello ──▶ hello back ──▶ admitted? ─────────▶ session ──▶ gone
//
// # Invariants
//
//   - A data connection passes the door as any other: seat, byte limit, proven identity, Config.Allow. It is
//     served only for the peer of a session that is up, one at a time, and the socket of the dialler is
//     judged by Config.MayDial.
//   - PeerUp and PeerDown alternate per peer, PeerUp first; messages and asks lie in between.
//   - Whom Config.Allow refuses is cut right after TLS; one that dialled is told why once a minute, and
//     nothing that it says is read (farewell.go).
//   - No socket is opened to an address that Config.MayDial refuses.
//   - A stranger gets no stream but mesh, enrol and, until its hello is judged, visit; everything else is reset
//     and ends its link.
//   - Nothing that a caller from the outside does here blocks on a peer: Send, FetchChunk, SendChunk,
//     RefuseChunk and Disconnect queue. Callbacks run on other goroutines, never within the call.
//   - Every read and write has an end: a deadline, a stall limit or the silence limit of the session.
//   - Every fetch is answered exactly once, every chunk given to SendChunk reported exactly once.
//
// # Goroutines
//
// Per session: yamux's own three, one that accepts streams, one that reads messages and one that
// writes them; two more for each direction in which chunks flow, on a stream or a data connection. None
// per chunk. One keeper per host
// watches silence, pings and seats.
//
// # Decisions
//
//   - libp2p assembled by hand from its upgrader, TLS, yamux and resource manager: the root package
//     links every transport there is, and its host and swarm keep a second connection per pair when
//     both dial, which is what the rules in arbiter.go exist to avoid. Its TCP transport shares ports
//     (SO_REUSEPORT), so a second program on our port would go unnoticed; and seats, byte limits and
//     stall limits need the socket. So sockets are opened here and handed to the upgrader.
//   - Hellos carry a boot number and a sequence: the newest hello of a peer wins, and of two that
//     cross, the one dialled by the smaller peer ID. That is enough for crossing dials, restarts and
//     half-open connections, without timeouts.
//   - Stall, not time: a write may take long if bytes keep moving, so that slow WAN links work while
//     a peer that stops reading is dropped after Timing.Stall.
//   - A chunk that shares its connection goes through the muxer piece by piece, each when the one before has left it
//     (handed.go): yamux would take megabytes at once, in front of every word to that peer.
//   - Chunk buffers are pooled and hold the answer's header in front of the bytes: one write, no copy. The pools outlast
//     collections (spare.go).
//   - Documents have a stream each and take ten of the sixteen that a peer has: where thousands are asked for the others
//     wait, and chunks, messages and gossip have room beside them.
//   - A chunk that has come and was found right stays in its buffer for a moment (recent.go): where a chunk
//     is asked for as soon as it is there, it is not read again from the disk.
//   - The reader of a link sleeps through large frames: nothing but the rest of the frame can come, and
//     no part of it is of use (gather.go). It costs acknowledgements, a fifth more of them, and saves
//     most wakings; a pause by the clock saved less and delayed the ends of chunks.
//   - Where much flows, chunks leave the muxer (data.go): its windows, its copy of every byte and its two
//     goroutines cost more than a second handshake, and gains and asks wait behind chunks in it. So one is opened once the
//     first chunk has come, where as much is expected as a handshake is worth. Who asks dials; where that fails, or the peer is older,
//     the stream stays, so nothing depends on it.
//   - The records of a large write leave together (batch.go): each costs a system call otherwise. But not
//     where packets queue in front of a slow link, which takes long trains apart again.
//   - Within the LAN, and on any way as short, a connection does not use BBR (sharing_linux.go): dozens of connections
//     share each line, what BBR loses there is sent in vain, and it leaves even a line of its own idle now and then.
//   - Asks are answered in whatever order the server likes; a cancelled ask is answered too, so both
//     sides always agree on what is outstanding.
//   - Rates are kept piece by piece at both ends (pace.go), by sleeping until the pieces before are paid; a
//     reader that waits for its pace is not silent.
//   - mDNS is zeroconf, which libp2p's own discovery stands on, with the records of that one: its service
//     goes on asking for ever, and all of a subnet answer each time (seek.go).
package transport
