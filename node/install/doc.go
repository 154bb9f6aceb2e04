// Package install is the apply role's hands: it detects, installs and removes one update on this
// machine, below a root folder. What may be installed, and when, was decided elsewhere.
//
// # Nouns
//
//   - An Installer handles one kind of payload: "file" places a file, "deb" calls dpkg, "archive"
//     unpacks a folder that belongs to the update, "script" runs a signed program, "rpm", "msi" and "msu" call
//     rpm, msiexec and wusa, "agent" brings a new version of patchmesh itself.
//   - Slots are where versions of patchmesh lie, and the pointer that says which one runs.
//   - A Job is one update and everything needed to work on it: the Spec (the part of the signed
//     descriptor that matters here), the root folder, a work folder, and how to read the payload.
//   - Look, Bring: detect and install as a descriptor asks, with its signed rules (policy.Condition), its
//     health probe and the way back. Evaluate asks the machine for one rule.
//   - A trial is an install whose probe has not spoken yet; a Rollbacker can undo one.
//   - Keep is the folder of what must outlive a restart: trials, previous packages, scripts that can
//     remove their work. Its payloads are bounded and hashed again before they are used.
//   - A Detection says whether the update is there, found by looking, never by remembering.
//
// # Invariants
//
//   - Only bytes that were copied into a place of ours and hashed there are installed (the copy is
//     what was hashed: nobody can change the payload between the check and the use). A mismatch is
//     ErrVerify, and nothing of the system was touched.
//   - Install and Remove are idempotent and may be cut off at any point: the same call again, after
//     a look with Detect, leads to a defined state.
//   - A failure is reported only after looking again: what is there counts, not the exit code.
//   - What a rule cannot find out is an error with a reason: nothing is installed on a guess.
//   - An update that declares a probe counts as present only after its probe has held once, whatever was
//     killed in between. That it failed is noted before anything is rolled back.
//   - Every failure is *Error with a reason from the closed list.
//   - Paths come from the signed descriptor only, are used below Root, and never leave it through
//     "..", symbolic links or devices.
//
// # Decisions
//
//   - file: the staging copy is the temporary file in the destination folder, so a large payload is
//     written once. Who can write that folder could replace the installed file anyway, so hashing
//     there loses nothing. An absolute symbolic link in the path is refused even if it points back
//     below Root, since its meaning depends on whether one looks from inside or outside.
//   - The copy's own hash is the one that counts, so the payload is read without hashing it on the way;
//     a mismatch is told to the store (Copied), which finds the damaged chunk and fetches it again.
//   - The copy may be made while the payload still comes (Early): the same copy, hashed as it is written, in a file
//     without a name on the disk where it is staged. So it looks like any new file of that folder, a crash leaves nothing
//     of it, and nothing is to be seen before the install, which looks at everything itself and takes the copy
//     only if it matched. It takes its room earlier, so it is made only where it fits beside all that is to come and to be
//     kept free, and is given up where anybody lacks room. After an hour it is not taken for what the disk holds. Linux
//     only: elsewhere, and where a file system has no such files, the install makes the copy.
//   - file: the copy is written beside the page cache where the system can. deb: not, dpkg reads it next.
//   - deb: dpkg is told to keep changed configuration files and never asks. It is never killed: a
//     killed dpkg leaves half-configured packages. When the time is up we stop waiting for it and say
//     so; it finishes alone, writing to a log file rather than to a pipe that would die with us.
//   - deb: dpkg unpacks first and finds missing dependencies afterwards, which breaks a working older
//     version. So dependencies are checked before, from the control file of the verified copy.
//   - deb: a .tar of package files is a set, which goes in, comes off and goes back with one run of dpkg: packages of one
//     source need each other in the same version, and none of them can be the first. A set that comes in by part only,
//     however whole each part is, goes back; on the way back the members that came anew go first, as they may break or
//     have taken files from what comes back. A way back that was cut off goes on with the next try.
//   - deb: dpkg may take the older version of a member out of service for another member (--auto-deconfigure) where no
//     package that is not of the set could be meant.
//   - deb: dpkg can downgrade; we refuse unless the update says allow-downgrade=true. A newer version
//     than the approved one counts as present.
//   - deb: an interrupted run of dpkg, of whatever package, is finished first. The file of an installed
//     package is kept, so that a newer one whose probe fails can go back to it.
//   - deb: a package whose own scripts fail is rolled back even without a probe: half configured it would
//     block every other one. What a full disk or a lock has stopped goes on with the next try instead.
//   - archive: the folder is replaced as a whole, by two renames; a list in it says what was unpacked. A
//     folder that no update made is not taken unless the descriptor says adopt=true. Links may lead
//     nowhere but into the folder; hard links, devices, set-uid bits and whatever others could write
//     are not made.
//   - hooks: scripts before and after an install are text within the descriptor, so every byte is signed, and run as
//     a script's payload is. One before it that fails keeps the install from being begun. One after it that fails
//     is reported and run again, and until it has worked the update does not count as present; undoing what works
//     because a notification failed would do more harm. With a probe, that one decides about undoing.
//   - script: no shell is involved unless the payload names one. Unlike dpkg it is killed when its time
//     is up, with all that it started. A lock that it inherits outlives us, so that one from before a
//     crash is waited for and not doubled.
//   - A command of a rule runs below another root only by chroot, which is root's; else it is unknown.
//   - agent: whatever program is to run, one pointer says it, and is replaced as a whole. The launcher that reads
//     it is the program that people installed: no update writes that one, so that a way back is always left.
//   - agent: a program has not proved itself by having been started: the node must answer on its local socket and
//     its loop must turn. That is told to the apply role, which keeps the pointer; a node that lies stays as it is.
//   - agent: a start without an end is counted and not a failure at once, since a power cut is no fault of the program.
//   - rpm: the vendor's signature is not asked, as the approvers' covers the hash of every byte. The payload must
//     be the package that its descriptor names; a package of before is kept as for deb.
//   - msi, msu: never a restart of their own. Exit codes are read by a table; what is there counts as much.
//   - An install that asks for a restart is not looked at again before it: an open trial stays open.
//   - go-deb-version compares Debian versions and is imported here only: the rules for "~" and epochs
//     have edge cases where an own comparison would be one more thing to get wrong.
package install
