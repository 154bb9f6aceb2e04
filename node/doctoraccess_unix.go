//go:build !windows

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"patchmesh/node/state"
)

// openOwn neither follows a link nor waits for whoever has put a pipe there meanwhile.
func openOwn(root *os.Root, path string) (*os.File, error) {
	return root.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// oneName: the file has no second name anywhere.
func oneName(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 1
}

func ownerOf(fi fs.FileInfo) (uid, gid int) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return -1, -1
}

// strangeOwners are files of root in the folder of another user: a command that root ran left them. Files of any third
// user are nobody's leftovers that could be proven.
func strangeOwners(root *os.Root) (found []loose, owner int) {
	fi, err := root.Stat(".")
	if err != nil {
		return nil, -1
	}
	owner, _ = ownerOf(fi)
	if owner <= 0 {
		return nil, owner
	}
	_ = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || len(found) >= maxLoose {
			return nil
		}
		if fi, err := d.Info(); err == nil && (fi.IsDir() || fi.Mode().IsRegular()) {
			if uid, _ := ownerOf(fi); uid == 0 {
				found = append(found, loose{path, fi.Mode()})
			}
		}
		return nil
	})
	return found, owner
}

// handBack gives to the owner of the folder what that user could have read before, and tells of what it leaves alone:
// whoever owns a folder can move a file of root's into it from any other folder of theirs.
func handBack(root *os.Root) (done int, left error) {
	fi, err := root.Stat(".")
	if err != nil {
		return 0, err
	}
	uid, gid := ownerOf(fi)
	found, _ := strangeOwners(root)
	for _, l := range found {
		if err := withOwn(root, l.path, func(f *os.File, fi fs.FileInfo) error {
			if !isNoSecret(f, fi, l.path, gid) {
				return leftToRoot(l.path)
			}
			return f.Chown(uid, gid)
		}); err != nil {
			left = errors.Join(left, err)
			continue
		}
		done++
	}
	return done, left
}

// isNoSecret: handing the file to the owner of the folder, whose group gid is, tells nobody what root alone could read. A
// folder cannot be moved here by somebody who may not write to it; a file can. The database is known by its mark.
func isNoSecret(f *os.File, fi fs.FileInfo, path string, gid int) bool {
	_, group := ownerOf(fi)
	switch {
	case fi.IsDir(), fi.Mode().Perm()&0o004 != 0, fi.Mode().Perm()&0o040 != 0 && group == gid:
		return true
	}
	return path == "state.db" && state.IsOurs(f)
}

// ownerElsewhere: this process is root's, and the folder belongs to another user.
func ownerElsewhere(dir string) (uid, gid int, is bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return 0, 0, false
	}
	uid, gid = ownerOf(fi)
	return uid, gid, uid > 0
}

// primaryGroup is the group in which a user works. That of his folder may be any, root's too, and files that he has made are
// not to become another group's. It stands in only where the system does not know the user.
func primaryGroup(uid, folders int) (int, error) {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return strconv.Atoi(u.Gid)
	}
	if folders == 0 {
		return 0, fmt.Errorf("the system knows no user %d, and the folder is of root's group", uid)
	}
	return folders, nil
}

// becomeOwner makes this whole process that of another user, whose folder is of a group. There is no way back.
func becomeOwner(uid, folders int) error {
	gid, err := primaryGroup(uid, folders)
	if err != nil {
		return err
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}
