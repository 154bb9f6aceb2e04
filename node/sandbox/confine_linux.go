package sandbox

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// readable are the system files that a node needs: names, certificates, zones, and what the machine says
// of itself. None of them is secret.
var (
	readableFiles = []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime", "/etc/os-release", "/usr/lib/os-release", "/etc/group", "/etc/passwd"}
	readableDirs  = []string{"/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/share/zoneinfo", "/run/systemd/resolve", "/proc", "/sys", "/usr/local/lib/patchmesh"}
)

// Confine leaves this process, for good, the folders to write below and the system files it needs. The
// folders must exist. ok is false where the kernel has no Landlock: then nothing has changed.
func Confine(folders ...string) (ok bool, err error) {
	if v, err := syscall.LandlockGetABIVersion(); err != nil || v < 1 {
		return false, nil
	}
	err = landlock.V5.BestEffort().RestrictPaths(
		landlock.RWDirs(folders...).WithRefer(),
		landlock.RWFiles("/dev/null").IgnoreIfMissing(),
		landlock.ROFiles(readableFiles...).IgnoreIfMissing(),
		landlock.PathAccess(landlock.AccessFSSet(syscall.AccessFSReadFile|syscall.AccessFSReadDir), readableDirs...).IgnoreIfMissing(),
	)
	if err != nil {
		return false, fmt.Errorf("confine this process to its folders: %w", err)
	}
	return true, nil
}
