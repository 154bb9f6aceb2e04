// Package policy is trust and rules: which signed documents a machine believes, and what they mean
// on it today. It is pure: bytes, facts and the time go in; verified state, verdicts and reasons come
// out. No network, no disk, no clock.
//
// # What is signed
//
//	root ─▶ timestamp ─▶ snapshot ─┬▶ targets (threshold of approvers) ─▶ manifest.json
//	                               └▶ roster  (delegated by targets)   ─▶ roster.json
//
// The chain is plain TUF 1.0 (theupdateframework.io) with consistent snapshots; its rules for
// threshold, rollback, freeze and rotation are those of go-tuf's trustedmetadata state machine. The
// approval manifest is the one target of the approvers: all approvals and holds, under a growing
// epoch, which is also the version of the targets role. The roster lists enrolment keys, seeds and
// revocations, commits to gossip keys by hash and says where sites are; a seed signs it online, but
// cannot replace the key that it is signed with. Revocations stay until the machine's certificates
// have been over for so long that they cannot be renewed; then publishing drops them.
//
// # What it means here
//
// MakePlan turns a manifest, the facts about a machine and the time into one verdict per update:
// install, remove, stage, wait, hold or nothing, each with a reason from a closed list.
//
// # Invariants
//
//   - Only a threshold of approver signatures makes a manifest; nothing else in the program can.
//   - A Trust never changes: a Refresh gives a new one or an error, and never a part of it.
//   - Every document has a size limit that is known before it is read.
//   - Unknown means hold: an unknown installer, rule, format or field is never installed past.
//   - An expired timestamp stops new approvals and nothing else; a newer head heals it.
//   - One document has one spelling: what no signature covers cannot be changed on the way.
//   - A key that a seed holds online can never approve.
//
// # Decisions
//
//   - go-tuf's metadata types and trustedmetadata are used, its updater is not: that one speaks HTTP,
//     never syncs its files and would decide when to fetch. It is imported here and nowhere else.
//   - Documents are fetched by content ID, so snapshot and targets must state length and sha256.
//   - JSON for what people may want to read; strict decoding, since a field that one version
//     ignores is a rule that it breaks.
//   - Every TUF document is checked for nulls, depth and number of signatures before go-tuf sees it:
//     its decoder and verifier follow nil pointers that an unsigned document can plant.
//   - The root names the organisation, so that keys used for two meshes do not join them.
//   - New timestamp or snapshot keys free the versions of online roles (TUF 5.3.11); the epoch never
//     goes back, and a draft may jump ahead to overtake thieves of approver keys.
//   - Approvals live 90 days and the root a year: somebody has to mean it still. The same manifest
//     under a new epoch renews approvals, NextRoot the root.
//   - Rings, windows, deadlines and detection rules join rule.go as further rows of its table.
package policy
