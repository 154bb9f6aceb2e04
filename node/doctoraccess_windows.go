package node

import (
	"io/fs"
	"os"
)

func openOwn(root *os.Root, path string) (*os.File, error) { return root.Open(path) }

func oneName(fs.FileInfo) bool { return true }

// strangeOwners finds none: the access list of the data folder decides here, whoever owns what is in it.
func strangeOwners(*os.Root) (found []loose, owner int) { return nil, -1 }

func handBack(*os.Root) (done int, err error) { return 0, nil }

func ownerElsewhere(string) (uid, gid int, is bool) { return 0, 0, false }

func becomeOwner(int, int) error { return nil }
