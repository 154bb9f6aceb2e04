// Package apply is the apply role: the part of patchmesh that may change the machine. It runs as a
// process of its own, as root and without any network, and believes nobody: it verifies the signed
// documents itself, from its own trusted folder, and installs only bytes that it has copied into a
// folder of its own and hashed there.
//
//	net (unprivileged)                        apply (root, no network)
//	  Client ── offer metadata ── head ─────▶ Server ── Role ── Trust   own folder, floors never go back
//	         ◀─ need: role, hash, length ───              │
//	         ── document ───────────────────▶             ├── Shelf    own folder, 0700: the hashed copies
//	         ── offer object ── bytes ──────▶             ├── Machine  who this is, from enrolment
//	         ── schedule ── descriptor id ──▶             ├── Journal  what began and how it ended
//	         ── status ─────────────────────▶             ├── Hands    the installers
//	         ── restart ────────────────────▶             ├── Restarter
//	         ── proved ─────────────────────▶             └── Prover   ends the trial of a new version
//
// # Nouns
//
//   - A Role decides alone whether an order is carried out: Do looks the update up in what its own
//     verified documents approve on this machine today.
//   - An order names an update by the hash of its descriptor, which the approvers have signed. There
//     is no other argument: no path, no URL, no option can be said in this protocol.
//   - A Shelf holds what lies ready: descriptors and payloads. Folder is the one of the separate
//     process; a node that runs everything in one process gives its own store.
//   - A Source is what the net side has to offer.
//
// # Invariants
//
//   - The caller's user comes from the kernel; anybody but the user of the net role, and root, is
//     refused before a byte of theirs is read.
//   - What waits for a window is installed at shutdown only if the service manager tells this role that the machine
//     goes down; the caller's word is not asked for.
//   - The machine is restarted only if the role's own documents and its own look at the machine say that it is
//     due; the order has no argument at all.
//   - Messages have a fixed size or a length that is checked against what was signed before anything
//     is read. Every read has a deadline; connections and waiting orders are bounded.
//   - Facts about the machine (name, site, groups) come from a file that root wrote at enrolment.
//     A caller that could name its groups could choose its approvals.
//   - An offered payload is read only if its update is to be installed here today; it becomes visible
//     only after its hash was right.
//   - Trusted documents never go back: a head older than the one in the own folder is refused, and a
//     damaged folder refuses every order instead of beginning again.
//
// # Decisions
//
//   - The server asks for documents, the client answers. So lengths and hashes come from signed
//     parents, and there is no message that carries what nobody asked for.
//   - One verb per connection. Local connections are cheap, and no state outlives a verb.
//   - The payload is sent as bytes, not as an open file: it is stored compressed in chunks, and a
//     file of the caller's could change while it is read.
//   - In one process with the net the copy that is installed may be made while the payload comes (CopyEarly), if the
//     approvals have it installed at that moment; they are looked up again at the install. A payload that crosses the
//     socket does so when it is whole, so that no connection stays open as long as a download.
//   - The installers hash once more while they copy; the shelf is private, so this is a second lock
//     on the same door, and the one that a node without a separate process relies on.
//   - Descriptors stay decoded in memory (Decoded): a plan asks for each of thousands, and a name is a hash. What they
//     are approved for is read and verified anew for each order, as ever.
//   - Whether a description is what its name says is asked again, of the memory, where the verdict hangs on it: of the update
//     that is ordered, and of those that it is related to. To hash all of thousands would cost more than the rest of an order.
//   - The journal is a text file: the role that runs as root links no database of its own accord.
//   - A new descriptor is taken only if an approval for this machine names it, so the folder cannot be
//     filled from outside.
package apply
