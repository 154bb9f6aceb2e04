package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// SystemdUnits is where an administrator's units belong.
const SystemdUnits = "/etc/systemd/system"

// Linux is this machine.
type Linux struct{}

var _ System = Linux{}

// HasUser implements System.
func (Linux) HasUser(name string) bool {
	_, err := user.Lookup(name)
	return err == nil
}

// AddUser implements System: a system user with a group of its own, no shell, no password.
func (Linux) AddUser(name, home string) error {
	return call("useradd", "--system", "--user-group", "--home-dir", home, "--no-create-home", "--shell", "/usr/sbin/nologin", name)
}

func numbers(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	uid, err = strconv.Atoi(u.Uid)
	if err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	return uid, gid, err
}

// Owned implements System.
func (Linux) Owned(dir, name string) bool {
	uid, _, err := numbers(name)
	if err != nil {
		return false
	}
	errLeft := errors.New("something is left")
	return walkRoots(dir, uid, func(string) error { return errLeft }) == nil
}

// Own implements System.
func (Linux) Own(dir, name string) error {
	uid, gid, err := numbers(name)
	if err != nil {
		return err
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, _ := fi.Sys().(*syscall.Stat_t)
	if st == nil || int(st.Uid) != uid {
		return walkRoots(dir, uid, func(path string) error { return os.Lchown(path, uid, gid) })
	}
	root, err := os.OpenRoot(dir) // given before: its owner can move things about in it, also now
	if err != nil {
		return err
	}
	defer root.Close()
	return walkRoots(dir, uid, func(path string) error { return giveOpen(root, dir, path, uid, gid) })
}

// giveOpen gives away what it has opened and looked at. A file that only root could read is not among it: the folder's
// owner could have moved it here from any other folder of theirs to get at it.
func giveOpen(root *os.Root, dir, path string, uid, gid int) error {
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return err
	}
	f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !ok || st.Uid != 0 || !fi.IsDir() && (!fi.Mode().IsRegular() || st.Nlink != 1):
		return fmt.Errorf("%s has just changed", path)
	case !fi.IsDir() && fi.Mode().Perm()&0o004 == 0:
		return fmt.Errorf("%s is root's alone, in a folder whose owner could have moved it there: give it back with chown if a command that root ran made it, else remove it", path)
	}
	return f.Chown(uid, gid)
}

// walkRoots visits what root owns in a folder, the folder itself last, so that its new owner cannot
// move things while they are given away. A link, a device or a file with a second name is an error:
// giving it away could give away something elsewhere.
func walkRoots(dir string, uid int, visit func(path string) error) error {
	var folders []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a socket or temporary file that has gone meanwhile
		}
		if err != nil {
			return err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		switch {
		case !ok:
			return fmt.Errorf("%s: no owner to be seen", path)
		case int(st.Uid) == uid:
			return nil
		case st.Uid != 0:
			return fmt.Errorf("%s belongs to user %d", path, st.Uid)
		case fi.IsDir():
			folders = append(folders, path)
			return nil
		case fi.Mode()&fs.ModeSocket != 0:
			return nil // made anew when the node starts
		case !fi.Mode().IsRegular() || st.Nlink != 1:
			return fmt.Errorf("%s is a link, a device or a file with a second name", path)
		}
		return visit(path)
	})
	for i := len(folders) - 1; i >= 0 && err == nil; i-- {
		err = visit(folders[i])
	}
	return err
}

// Trusted implements System.
func (Linux) Trusted(program string) error {
	path, err := filepath.EvalSymlinks(program)
	if err != nil {
		return err
	}
	for {
		fi, err := os.Lstat(path)
		if err != nil {
			return err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok || st.Uid != 0 {
			return fmt.Errorf("%s does not belong to root", path)
		}
		if fi.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("%s can be changed by others (mode %04o)", path, fi.Mode().Perm())
		}
		if path == "/" {
			return nil
		}
		path = filepath.Dir(path)
	}
}

// Running implements System, as sd_booted(3) does.
func (Linux) Running() bool {
	fi, err := os.Lstat("/run/systemd/system")
	return err == nil && fi.IsDir()
}

// Control implements System.
func (Linux) Control(args ...string) error { return call("systemctl", args...) }

// Active implements System.
func (Linux) Active(unit string) bool { return call("systemctl", "is-active", "--quiet", unit) == nil }

// toolDirs is where system tools are looked for: root's PATH may name other places.
var toolDirs = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// call runs a system tool.
func call(tool string, args ...string) error {
	for _, dir := range toolDirs {
		path := filepath.Join(dir, tool)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env, cmd.Dir = []string{"PATH=" + strings.Join(toolDirs, ":"), "LC_ALL=C"}, "/"
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, strings.TrimSpace(string(out[:min(len(out), 500)])))
		}
		return nil
	}
	return fmt.Errorf("there is no %s on this machine", tool)
}

// Under runs f: systemd needs no answer from a service but its end.
func Under(ctx context.Context, f func(context.Context) error) error { return f(ctx) }
