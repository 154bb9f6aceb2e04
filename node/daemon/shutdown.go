package daemon

import "fmt"

// ShutdownUnit runs nothing while the machine is on. It is stopped before the others when the machine goes down, and
// what it does then is its purpose.
const ShutdownUnit = "patchmesh-shutdown.service"

// shutdownUnit is its text. Its stop also comes when an administrator stops it by hand: then the apply role finds that
// the machine is not going down, and refuses.
func (s Spec) shutdownUnit() string {
	return fmt.Sprintf(`# written by 'patchmesh service install'; put changes into a drop-in (systemctl edit)
[Unit]
Description=patchmesh: installs at shutdown, where policy allows it
After=%s %s

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStop=%s
User=%s
Group=%s
# a little more than the command gives itself
TimeoutStopSec=31min
`, NetUnit, ApplyUnit, command(s.Program, "service", "at-shutdown", "--data", s.DataDir, "--within", "30m"), s.User, s.User) + shutdownHardening + installSection
}

// shutdownHardening: a client of a local socket needs nothing else.
const shutdownHardening = `
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
LimitCORE=0
`
