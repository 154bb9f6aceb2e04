package node

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"patchmesh/node/api"
	"patchmesh/node/inventory"
	"patchmesh/policy"
)

// Room that a machine needs to work at all.
const (
	leastFree   = 256 << 20
	leastMemory = 64 << 20
)

// volumeAt is somewhere that patchmesh or an installer writes.
type volumeAt struct{ check, path string }

// systemFolders often are file systems of their own, and packages write to each of them.
var systemFolders = []string{"usr", "var", "etc", "opt", "boot", "srv", "home", "tmp"}

// places are the file systems that will really be used: that of the data folder, where payloads come and are staged,
// and those below the root where installers write.
func (n *Node) places() []volumeAt {
	root := systemRoot(n.cfg.Root)
	list := []volumeAt{{"disk of the data folder", n.cfg.DataDir}}
	if n.cfg.ApplySocket != "" {
		list = append(list, volumeAt{"disk of the apply role", DefaultApplyState})
	}
	if n.seed != nil {
		return list // it installs nothing itself
	}
	list = append(list, volumeAt{"disk of the system", root})
	if runtime.GOOS != "windows" {
		for _, f := range systemFolders {
			list = append(list, volumeAt{"disk of /" + f, filepath.Join(root, f)})
		}
	}
	for _, dest := range n.destinations() {
		list = append(list, volumeAt{"disk of " + dest, filepath.Join(root, dest)})
	}
	return list
}

func systemRoot(root string) string {
	if runtime.GOOS == "windows" {
		return cmp.Or(root, os.Getenv("SystemDrive")+`\`)
	}
	return cmp.Or(root, "/")
}

// destinations are where approved updates of this machine say that their files go.
func (n *Node) destinations() (list []string) {
	m := n.believer.current().Manifest()
	if m == nil || runtime.GOOS == "windows" {
		return nil
	}
	for _, v := range policy.MakePlan(m, n.describer(), n.machineFacts(), false, n.cfg.Now()).Verdicts {
		d, err := n.descriptor(v.Descriptor)
		if err == nil && d.InstallerArgs["dest"] != "" && v.Compliance != policy.NotApplicable && v.Compliance != policy.Installed {
			list = append(list, filepath.Clean("/"+d.InstallerArgs["dest"]))
		}
	}
	return list
}

// lookAtDisk looks at the file systems of the places, each once, and at memory. fix makes room where the payloads are;
// nil: it cannot.
func lookAtDisk(e *examination, places []volumeAt, fix func() (string, error)) {
	seen := map[string]bool{}
	data := ""
	for i, p := range places {
		volume, readOnly, err := inventory.Volume(p.path)
		named := i == 0 || p.check == "disk of the system" // these two are told even if they are one
		if err == nil && !named && (seen[volume] || readOnly) {
			continue // what installers cannot write to needs no room
		}
		seen[volume] = true
		if i == 0 {
			data = volume
		}
		mend := fix
		if volume != data {
			mend = nil // what goes from the store makes no room there
		}
		e.lookAtVolume(p, named, err, mend)
	}
	if free, known := inventory.MemoryFree(); known && free < leastMemory {
		e.wrong(api.ScopeDisk, "memory", policy.ReasonMemoryShort, api.Size(free)+" of memory are free", map[string]int64{"needed_bytes": leastMemory, "free_bytes": free}, nil)
	} else if known {
		e.fine(api.ScopeDisk, "memory", "%s are free", api.Size(free))
	}
}

func (e *examination) lookAtVolume(p volumeAt, whole bool, err error, fix func() (string, error)) {
	free, total := int64(0), int64(0)
	if err == nil {
		free, total, err = inventory.Free(p.path)
	}
	least := int64(leastFree)
	if !whole {
		least = min(least, total/10) // a small one for the kernels alone is meant to be small
	}
	switch {
	case err != nil:
		e.wrong(api.ScopeDisk, p.check, policy.ReasonDiskError, err.Error(), nil, nil)
	case free < least:
		e.wrong(api.ScopeDisk, p.check, policy.ReasonDiskShort, fmt.Sprintf("%s of %s are free at %s", api.Size(free), api.Size(total), p.path),
			map[string]int64{"needed_bytes": least, "free_bytes": free}, fix)
	default:
		e.fine(api.ScopeDisk, p.check, "%s of %s are free at %s", api.Size(free), api.Size(total), p.path)
	}
}
