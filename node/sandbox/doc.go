// Package sandbox takes from the process that speaks to the network the right to open files that are
// none of its business.
//
// The systemd unit hides most of the file system from that process already. Landlock does it again from
// inside, whatever started the process, and it cannot be taken back: not by the process, not by a library
// in it, and not by whoever takes it over (threat T33, attacker A13).
//
// # Invariants
//
//   - After Confine every thread of the process reads and writes below the folders it was given, reads the
//     few system files that name resolution, certificates, time zones and the gates need, and opens nothing
//     else; it starts no program.
//   - Where the kernel knows less of Landlock, what it knows is used; where it knows nothing, Confine says
//     so and the caller says it to people.
//
// # Decisions
//
//   - github.com/landlock-lsm/go-landlock, because the rules must reach threads that exist already, each
//     kernel knows other rights, and its authors are those of the kernel part's Go interface.
//   - Only a process whose installing is done by another one is confined. One that installs by itself needs
//     the whole file system, and says so when it starts.
package sandbox
