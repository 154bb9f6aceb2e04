// Package daemon puts patchmesh under the system's service manager: systemd on Linux, launchd on
// macOS, the service control manager on Windows.
//
//	patchmesh.service         user patchmesh, network, parses all hostile bytes; no capability, no device
//	patchmesh-apply.service   root, no network at all; installs what it has verified itself
//
// # Nouns
//
//   - A Spec says what is to be installed: program, folders, user, flags.
//   - A step is one change of the system, which says beforehand whether it is needed. Install makes the
//     steps that are; done again it makes none.
//   - A System is what steps touch; tests give their own.
//
// # Invariants
//
//   - The program that root starts belongs to root, and so does every folder on the way to it: else
//     whoever can replace it is root at the next start.
//   - Only what root owns is given to the node's user, never a link or a file with a second name: the
//     folder may be that user's already, and a link in it could point anywhere.
//   - Remove takes the services away and leaves all data.
//
// # Decisions
//
//   - systemd units are written here rather than by a library: their hardening is the point, and it is
//     measured (systemd-analyze security: net at most 1.5, apply at most 4.5).
//   - The net unit has no private user namespace: callers of the local API must keep their numbers.
//   - The apply unit keeps what package tools need: setuid files may be made (RestrictSUIDSGID would
//     stop that), devices, the module folder and the file system are writable, umask is the ordinary one, other processes can be seen, and memory is
//     bounded only as a share of the machine's: making an initial RAM disk takes much.
//   - KillMode=process on the apply unit: a package tool that is at work survives a restart of patchmesh.
//   - kardianos/service writes the launchd and Windows entries and answers the Windows service manager,
//     whose protocol is not worth an own version. There, one service does both roles and says so in its
//     log: Windows does not tell who calls on a unix socket, and on macOS a user for the net role
//     cannot be made with the means of this package.
package daemon
