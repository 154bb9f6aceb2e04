package install

import (
	"errors"
	"strings"
)

// checkDest refuses a destination that no machine would take, of whatever system: whoever imports it should read that, and
// not every machine. What a system forbids besides is found out there.
func checkDest(s Spec, missing string) error {
	deny := func(why string) error {
		return failed(ReasonDenied, errors.New(why), "read descriptor of %s", s.Update)
	}
	dest := s.Args["dest"]
	plain := strings.ReplaceAll(dest, `\`, "/")
	drive := len(plain) > 2 && plain[1] == ':' && (plain[0]|0x20) >= 'a' && (plain[0]|0x20) <= 'z'
	if drive {
		plain = plain[2:]
	} else {
		plain = dest // a backslash is part of a name
	}
	switch {
	case dest == "":
		return deny(missing)
	case len(dest) > maxDestBytes || strings.ContainsRune(dest, 0):
		return deny("its dest is too long or holds a zero byte")
	case !strings.HasPrefix(plain, "/"):
		return deny("its dest is no absolute path: dest=/path/below/the/root, or a drive and a path for Windows")
	case strings.Contains(plain+"/", "/../"):
		return deny(`its dest holds ".."`)
	}
	return nil
}
