package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Spec says what is to run as a service. All paths are absolute.
type Spec struct {
	Program     string // the patchmesh binary
	DataDir     string // of the net role
	ApplyState  string // of the apply role
	ApplySocket string
	User        string // of the net role, with a group of the same name; made if it is missing
	StatusFor   string // owner, group or all, see 'patchmesh run'
	RunArgs     []string
	// Apply: this machine installs updates. A seed does not.
	Apply bool
	// Slots is where updates of patchmesh itself lie; the services are started by a launcher, which looks there.
	// Empty: they are started directly, and are not updated.
	Slots string
}

// DefaultUser is the user of the net role.
const DefaultUser = "patchmesh"

var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)

// Validate names all problems at once. Texts end up in unit files: a line break in one would be a
// setting of its own.
func (s Spec) Validate() error {
	var errs []error
	for what, p := range map[string]string{
		"program": s.Program, "data folder": s.DataDir, "state folder of the apply role": s.ApplyState, "apply socket": s.ApplySocket,
	} {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p || strings.ContainsAny(p, "\n\r\x00") {
			errs = append(errs, fmt.Errorf("the %s %q is no absolute path", what, p))
		}
	}
	if s.Slots != "" && (!filepath.IsAbs(s.Slots) || filepath.Clean(s.Slots) != s.Slots || strings.ContainsAny(s.Slots, "\n\r\x00")) {
		errs = append(errs, fmt.Errorf("the folder of versions %q is no absolute path", s.Slots))
	}
	for _, a := range s.RunArgs {
		if strings.ContainsAny(a, "\n\r\x00") {
			errs = append(errs, fmt.Errorf("the argument %q has more than one line", a))
		}
	}
	if !userName.MatchString(s.User) || s.User == "root" {
		errs = append(errs, fmt.Errorf("%q is no name for the user of the node", s.User))
	}
	switch s.StatusFor {
	case "owner", "group", "all":
	default:
		errs = append(errs, fmt.Errorf("status is for %q, must be owner, group or all", s.StatusFor))
	}
	return errors.Join(errs...)
}

func (s Spec) socketDir() string { return "/run/" + socketDirName }
