// Package policy is trust and rules: which signed documents a machine believes, and what they mean
// on it today. It is pure: bytes, facts and the time go in; verified state, verdicts and reasons come
// out. No network, no disk, no clock.
//
// # What is signed
//
//	root ─▶ timestamp ─▶ snapshot ─┬▶ targets (threshold of approvers) ─▶ manifest.json
//	                               ├▶ roster  (delegated by targets)   ─▶ roster.json
//	                               └▶ canary… (delegated by targets)   ─▶ approvals/canary.json …
//
// The chain is plain TUF 1.0 (theupdateframework.io) with consistent snapshots; its rules for
// threshold, rollback, freeze and rotation are those of go-tuf's trustedmetadata state machine. The
// approval manifest is the one target of the approvers: all approvals and holds, under a growing
// epoch, which is also the version of the targets role. The roster lists enrolment keys, seeds and
// revocations, commits to gossip keys by hash and says where sites are; a seed signs it online, but
// cannot replace the key that it is signed with. Revocations stay until the machine's certificates
// have been over for so long that they cannot be renewed; then publishing drops them.
//
// The roster's key changes only when a threshold of root keys names another one in the root; approvers
// then sign the delegation that follows, and no other counts (rosterkey.go).
//
// # Delegated approvers
//
// The main approvers may let other keys decide some actions for some groups: canary at 1 of 1 beside
// 2 of 3 for everything. Such a role is a TUF delegation with one target of its own, a RoleManifest.
// Its keys and threshold stand in the targets, its groups and actions in the main manifest, so one
// threshold signed both. Trust.Manifest is the merge (merge.go): whatever a role decides beyond its
// limits costs it its whole document, and nothing else. Which machines are in a group is the word of
// the seed that enrols them, so a role's power reaches as far as a thief of the seed can move machines
// into its groups, and no further than its groups.
//
// The epoch counts main manifests alone. A role's own count is its serial, and only the version of the
// head tells whether anything is new.
//
// # Approval rules
//
// An ApprovalRule (approvalrule.go) says what is laid before the approvers when an update comes into a seed's
// catalogue, and two settings say it of revisions and of what is obsolete (revision.go). None of them approves:
// Propose and its kin give approvals that a seed puts into a draft of its own, for people to sign.
// A Baseline names what machines of a group must have, and approves nothing either.
//
// # The approval log
//
// Every publication is an Entry of a hash-chained log that carries the changes and the approvers'
// signatures: from it alone the manifest of any time is made again, to the byte. The roster carries a
// Checkpoint of it, so every machine witnesses how far it had come.
//
// # What nobody has decided about
//
// What is in a catalogue and was not decided about for all machines stands in the manifest as detect-only for all
// (listed.go): machines that no decision addresses look for it, report it as policy-not-approved, and do nothing else.
// Such a word beats no other, and MakePlan gives its answer apart from all others, so that who signs a list need not
// think of what hangs on its entries.
//
// # When, and who is told
//
// Times may be signed as what each machine's own clock shows (localtime.go); they become instants in MakePlan. An install
// whose approval names no deadline has one by its severity (deadlines.go), from settings with which a new mesh begins.
// Of a restart people are told again and again, and once more before it comes (remind.go).
//
// How much a machine may move and store is signed like that (limits.go). Of two groups as deep neither timetable need be
// stricter at all times: then both hold, and at each instant the lower. What the machine's own command line says is no
// part of a manifest and is laid beside it by the driver. So is when a machine stops to give to others (gates.go).
//
// A zone that is signed and that a machine does not know, as its zone database is older, costs it nothing but what hangs on that
// zone: a window there stays closed, and it says why (zone.go).
//
// A machine is changed in its windows, beside its quiet hours, and not on battery (client.go). Windows that passed
// without an update may let go of it: after a number of them, or because the machine was off (missed-window); since when
// it waits is a fact of the machine, and the apply role, which is told nothing, counts from the approval. At shutdown
// what fits the time that is signed for it goes past the windows. What a plan says of links, reports and sleep are its
// Habits; Manifest.Notices is what people are told (client_told.go).
//
// # One after the other
//
// An Orchestration (orchestration.go) lets only so many machines of a group in a site be changed at once. What is
// signed is the list of members, their number, order and times, and a count of resets; the members settle the rest
// by votes (package swarm/orch). So plans know nothing of it, and neither does the apply role, which hears no votes:
// it guards what is installed and in which windows, as for any machine, and a net role in wrong hands can let its own
// machine go out of turn. Lists of members before the present one stay until nobody goes by them any more.
//
// # What it means here
//
// MakePlan turns a manifest, the facts about a machine and the time into one verdict per update:
// install, remove, stage, wait, hold or nothing, each with a reason from a closed list.
// A restart that an update asks for is decided in the same way (restart.go): what is signed and the windows
// cannot be overridden, what spares people ends with a deadline. A mitigation (mitigation.go) is an update
// that stands in for another: once that one is installed, its approval reads as one to remove it.
//
// # Groups
//
// A machine is in a group because it was enrolled into it, because the group's signed query fits its
// Inventory, or because it says so where the signed group lets machines join; and it is in every group
// around that one. Manifest.Memberships tells which, and why. A query is a Condition without files,
// registry and commands, so that the seed, which knows only what was reported, cannot come to another
// answer than the machine, which works its groups out itself, offline:
//
//	{"machine":{"names":["till-*"],"sites":["branch"],"memory_mib":{"at_least":4096}}}
//
// A safeguard's predicate is a query of the inventory, as that of a group; what is not known fits. An exception, signed
// and with an end, opens a safeguard, a brake or a ring plan's halt for one machine or one group; what an admin has paused
// or frozen is released, not gone around.
// Who is in a group that machines are enrolled into is the seed's word, for exceptions as for approvals. A brake is
// the seed's own stop of one revision for at most a week, in the roster: it approves and releases nothing, and a
// threshold ends it by an exception, or makes a hold of it, the halt. Neither a deadline nor expediting opens a window or passes
// a WAN budget: the approval says so, each by a word of its own.
//
// Where it cannot be found out whether a machine is in a group, what the group forbids counts (holds,
// windows, settings, a refusal) and what it allows does not.
//
// # Chains and checkpoints
//
// What replaces what is a fact of content, and counts as a whole (chain.go): through what is declined, held or approved for other
// machines too, for plans, baselines, lists, and for what may be let go (replaced.go). In a loop none replaces another.
//
// Of a chain in which updates replace each other the newest that comes to this machine is installed (relations.go): one that
// goes on here, and all that it needs is there, or comes too. One that it replaces
// and names as its prerequisite is a checkpoint: it is installed first, and nobody is asked to decline it.
//
// What does not work on a machine keeps nothing else away (setback.go): one that must be alone and failed gives way until it
// is tried again, and one that was rolled back replaces nothing until it is approved anew. One that could not begin, because nobody holds its content, is not waited for either.
//
// # Rules of an update
//
// A descriptor may carry three Conditions, which the approvers sign with it and every machine evaluates
// by itself, offline: applicable (is it for this machine), installed (is it there), probe (is the
// machine well afterwards, within probe_seconds; else the install is rolled back). A condition is a
// tree of typed nodes, one kind in each:
//
//	{"all":[…]}  {"any":[…]}  {"not":…}
//	{"os":{"name":"linux","distribution":"debian","version":{"at_least":"12","below":"13"}}}
//	{"arch":["amd64","arm64"]}
//	{"file":{"path":"/etc/app.conf","sha256":"…","version":{"after":"version=","at_least":"2.1"}}}
//	{"registry":{"key":"HKLM\Software\App","name":"Version","version":{"below":"10.2"}}}
//	{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}    or "rpm"
//	{"command":{"args":["/usr/bin/app","--check"],"timeout_seconds":10,"exit":[0]}}
//
// Answers are yes, no and uncertain; a no among all, or a yes among any, decides. Uncertain holds the
// update with the reason of what could not be found out. At most 8 levels and 128 nodes; commands have
// fixed arguments, an absolute path, no shell and at most 300 seconds. Versions are ordered as dpkg and
// rpm order them, all others (systems, files, the registry) as dpkg does. What a registry holds is
// uncertain where there is none.
//
// # Any TUF repository
//
// TUFClient is the client workflow of the specification for repositories of others: any targets,
// delegations by paths, by hashes and into bins, with and without consistent snapshots, RSA and ECDSA
// where they are asked for. It is a chain of steps (load, fetch, save, forget) that a driver does:
//
//	root ─▶ root+1 ─▶ … ─▶ forget what withdrawn keys signed ─▶ timestamp ─▶ snapshot ─▶ targets ─▶ delegations
//
// It decides nothing about approvals: those come from a Trust alone. tuftest holds the suite that it
// passes, and mirror.go the names under which a Trust's documents lie on a static web host.
//
// # Invariants
//
//   - Only a threshold of approver signatures makes a manifest; nothing else in the program can.
//   - A Trust never changes: a Refresh gives a new one or an error, and never a part of it.
//   - Every document has a size limit that is known before it is read.
//   - What a machine says of itself, its inventory included, widens nothing that is not signed.
//   - Unknown means hold: an unknown installer, rule, format or field is never installed past.
//   - An expired timestamp stops new approvals and nothing else; a newer head heals it.
//   - One document has one spelling: what no signature covers cannot be changed on the way.
//   - A key that a seed holds online can never approve, for any group.
//   - A delegated role's serial never goes back while its grant lasts, whatever online keys change;
//     new keys, or a role given again, begin empty.
//   - A hold disappears only by a newer document of those who made it: one that was spoiled on the way
//     refuses the whole set, one that its role signed unreadably holds the role's groups.
//   - A Floor outlives the documents: what was trusted once binds a machine that has lost them.
//   - Time is judged by a Clock, which never goes back behind what is known to have passed.
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
//   - TUFClient checks signatures itself, over the canonical form of the bytes received, where Trust
//     lets go-tuf do it, which signs over what it decoded: a root without consistent_snapshot would
//     never verify, and one key of an unknown kind would spoil a whole role. The types are go-tuf's;
//     a fuzz target holds that it takes whatever TUFClient takes.
//   - A targets role that is at hand is verified again for every delegator that names it, with that
//     one's keys: a role kept by its name alone would lend one delegator's trust to another.
//   - What withdrawn keys signed is forgotten once the new root is in force (TUF 5.3.11), and a mark
//     beside the root keeps a crash or an expired root from forgetting to forget.
//   - The root names the organisation, so that keys used for two meshes do not join them.
//   - New timestamp or snapshot keys free the versions of online roles (TUF 5.3.11); the epoch never
//     goes back, and a draft may jump ahead to overtake thieves of approver keys.
//   - A timestamp says when it was signed, in a field of our own: TUF states only its end, so nobody
//     could tell that half of its life is over and no newer one has come.
//   - Approvals live 90 days and the root a year: somebody has to mean it still. The same manifest
//     under a new epoch renews approvals, NextRoot the root.
//   - Limits of a role stand in the manifest, not in the custom fields of the TUF delegation: strictly
//     decoded, and a version that does not know them refuses the manifest instead of passing over them.
//   - A role's approvals end with its signatures (30 days) by a rule of the plan, not by refusing its
//     document: an approver on holiday must not stop the mesh, and the same files mean the same after
//     a restart. Its holds stay.
//   - For one update and one group the main approvers' word stands; otherwise the deeper group wins.
//   - A draft travels as a Parcel with all that it takes to verify it from a pinned root; only the
//     empty first manifest of an organisation may be signed without a trusted set to compare it to.
//   - Version orders are our own here, since no library is pure and total; tests hold them against dpkg.
//   - Rings, windows, deadlines and detection rules join rule.go as further rows of its table.
package policy
