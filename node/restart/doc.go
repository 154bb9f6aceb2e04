// Package restart knows whether this machine has to be restarted, what stands in the way, and how it is
// done. Whether it may is decided elsewhere (policy.Manifest.PlanRestart), from signed documents.
//
//	install ── asked ──▶ Notes ──┐
//	Debian's marker, Windows' keys ──▶ Machine.Look ──▶ policy.PendingRestart
//	users, inhibitors ───────────┘          Machine.Restart ──▶ shutdown -r, systemctl reboot
//
// # Nouns
//
//   - Machine is this system, or the folder that stands for one in tests.
//   - A note is an update that asked for a restart, with the boot in which it did. It lies in a file of the
//     apply role, so that a program that is started anew still knows; another boot makes it void.
//   - A boot is named by what the system makes anew each time it starts.
//   - Run carries a command out; a fake in tests.
//
// # Invariants
//
//   - Another root is looked at and never restarted: that would be the machine which the root lies on.
//   - The command line is fixed but for minutes and a text of ours; nothing of it comes from outside.
//   - What cannot be found out (who is signed in) blocks nothing that policy does not ask for, and is told.
//
// # Decisions
//
//   - The system's own shutdown warns people and repeats it; so there is no dialogue of ours. Where nobody is
//     warned at all, systemctl restarts at once.
//   - Who works at a terminal is told that a restart waits with wall(1) or msg.exe and a text of ours, by root alone.
//   - Inhibitors and sessions are read from /run/systemd as files: the apply role needs no bus for it.
package restart
