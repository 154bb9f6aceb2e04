package daemon

import (
	"fmt"
	"strings"
)

// Names of the units.
const (
	NetUnit   = "patchmesh.service"
	ApplyUnit = "patchmesh-apply.service"
)

// quoted writes one argument of ExecStart: systemd knows quotes, specifiers and variables.
func quoted(arg string) string {
	arg = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(arg)
	if arg == "" || strings.ContainsAny(arg, " \t'\"\\;") {
		return `"` + arg + `"`
	}
	return arg
}

func command(program string, args ...string) string {
	words := []string{quoted(program)}
	for _, a := range args {
		words = append(words, quoted(a))
	}
	return strings.Join(words, " ")
}

// launched is the command of a verb, through the launcher where there is one.
func (s Spec) launched(args ...string) string {
	if s.Slots == "" {
		return command(s.Program, args...)
	}
	return command(s.Program, append([]string{"launch", "--slots", s.Slots, "--"}, args...)...)
}

// netUnit is the unit of the net role.
func (s Spec) netUnit() string {
	args := []string{"run", "--data", s.DataDir, "--sockets", s.socketDir(), "--admin-group", s.User, "--status-for", s.StatusFor}
	needs := ""
	if s.Apply {
		args = append(args, "--apply-socket", s.ApplySocket)
		needs = "Wants=" + ApplyUnit + "\nAfter=" + ApplyUnit + "\n"
	}
	args = append(args, s.RunArgs...)
	return fmt.Sprintf(`# written by 'patchmesh service install'; put changes into a drop-in (systemctl edit)
[Unit]
Description=patchmesh: approved updates, from machine to machine
Wants=network-online.target
After=network-online.target
%s
[Service]
Type=exec
ExecStart=%s
User=%s
Group=%s
Restart=on-failure
RestartSec=2
# for the thread that watches the others; the others set it back (watcher_linux.go of the command)
TimerSlackNSec=10ms
ReadWritePaths=%s
RuntimeDirectory=%s
RuntimeDirectoryMode=0755
`, needs, s.launched(args...), s.User, s.User, quoted(s.DataDir), socketDirName) + netHardening + installSection
}

const socketDirName = "patchmesh" // below /run

const installSection = `
[Install]
WantedBy=multi-user.target
`

// netHardening: the process that parses everybody's bytes has no right but to its folder and the
// network.
const netHardening = `
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateIPC=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
IPAddressDeny=169.254.169.254/32 fd00:ec2::254/128
UMask=0077
LimitCORE=0
LimitNOFILE=8192
MemoryMax=512M
TasksMax=512
`

// applyUnit is the unit of the apply role.
func (s Spec) applyUnit() string {
	return fmt.Sprintf(`# written by 'patchmesh service install'; put changes into a drop-in (systemctl edit)
[Unit]
Description=patchmesh: installs updates that approvers have signed
Before=%s

[Service]
Type=exec
ExecStart=%s
User=root
Restart=on-failure
RestartSec=2
KillMode=process
RuntimeDirectory=patchmesh-apply
RuntimeDirectoryMode=0755
`, NetUnit, s.launched("apply", "--state", s.ApplyState, "--socket", s.ApplySocket, "--user", s.User)) + applyHardening + installSection
}

// applyHardening: root without a network, with the rights that package tools need and no others.
const applyHardening = `
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_SETFCAP CAP_SETUID CAP_SETGID CAP_KILL CAP_MKNOD CAP_SYS_CHROOT
AmbientCapabilities=
NoNewPrivileges=yes
PrivateTmp=yes
PrivateIPC=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service @chown chroot
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
UMask=0022
LimitCORE=0
MemoryMax=75%
TasksMax=1024
`
