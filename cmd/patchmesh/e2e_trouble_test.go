//go:build linux

package main_test

import (
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchmesh/bench"
)

// killed: a third of the machines die by kill -9 half way, those first that fetch over the WAN, and
// are started again.
func killed(t *testing.T, bin string) {
	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: branchSize}})
	d := f.deliver("random", randomFile(t, f.dir, "random.bin", payloadSize))
	d.awaitHalf()
	victims := f.byWAN(d.update)[:(branchSize+1)/3]
	for _, m := range victims {
		m.stop(syscall.SIGKILL)
		t.Logf("killed %s at %.2f s", m.name, time.Since(d.approvedAt).Seconds())
	}
	// Long enough that the others notice and take over.
	time.Sleep(2 * time.Second)
	for _, m := range victims {
		m.start()
	}
	d.awaitInstalled()
	d.log()
	d.expectWAN(wanLimitTrouble)
	rows := f.rows(d.update)
	for _, m := range f.machines {
		b := rows[m.name].Bytes
		if b.Duplicate > 0 {
			t.Errorf("%s fetched %d verified bytes twice", m.name, b.Duplicate)
		}
		if got := float64(b.fetched()) / float64(d.sizeBytes); got > 1.005 {
			t.Errorf("%s fetched %.4f payloads", m.name, got)
		}
	}
	for _, m := range victims {
		lan, err := f.lab.LAN(m.host)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: its link carried %.4f payloads in and %.4f out since it joined", m.name,
			float64(lan.RXBytes)/float64(d.sizeBytes), float64(lan.TXBytes)/float64(d.sizeBytes))
	}
}

// byWAN orders the machines by what they took over the WAN, most first.
func (f *fleet) byWAN(update string) []*machine {
	f.t.Helper()
	rows := f.rows(update)
	all := slices.Clone(f.machines)
	slices.SortStableFunc(all, func(a, b *machine) int {
		return cmp.Compare(rows[b.name].Bytes.wan(), rows[a.name].Bytes.wan())
	})
	return all
}

// wanCut: nothing crosses the WAN for 20 s in the middle; the rest comes by itself.
func wanCut(t *testing.T, bin string) {
	const cut = 20 * time.Second
	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: branchSize}})
	d := f.deliver("random", randomFile(t, f.dir, "random.bin", payloadSize))
	d.awaitHalf()
	if err := f.lab.CutWAN(); err != nil {
		t.Fatal(err)
	}
	t.Logf("WAN cut at %.2f s", time.Since(d.approvedAt).Seconds())
	time.Sleep(cut)
	if n := d.doneCount(); n > 0 {
		t.Errorf("%d machines are done with half of the bytes", n)
	}
	if err := f.lab.HealWAN(); err != nil {
		t.Fatal(err)
	}
	healedAt := time.Now()
	d.awaitFiles(len(f.machines))
	t.Logf("last machine done %.2f s after the WAN came back", time.Since(healedAt).Seconds())
	d.awaitInstalled()
	d.log()
	d.expectWAN(wanLimitTrouble)
}

// seedRestart: the seed stops in the middle and comes back.
func seedRestart(t *testing.T, bin string) {
	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: branchSize}})
	d := f.deliver("random", randomFile(t, f.dir, "random.bin", payloadSize))
	d.awaitHalf()
	f.seed.stop(syscall.SIGTERM)
	t.Logf("seed gone at %.2f s", time.Since(d.approvedAt).Seconds())
	time.Sleep(3 * time.Second)
	f.seed.start()
	t.Logf("seed back at %.2f s", time.Since(d.approvedAt).Seconds())
	d.awaitInstalled()
	d.log()
	d.expectWAN(wanLimitTrouble)
}

// holdStops: a hold stops a second update while the first stands; its release lets it through.
func holdStops(t *testing.T, bin string) {
	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: 3, NoRoute: 1}})
	first := f.deliver("first", randomFile(t, f.dir, "first.bin", 2<<20))
	first.awaitInstalled()

	second := f.imported("second", randomFile(t, f.dir, "second.bin", 2<<20), "--installer", "file", "--installer-arg", "dest=/srv/second.bin")
	second.dest = "/srv/second.bin"
	var hold struct {
		Hold string `json:"hold"`
	}
	f.onSeed(&hold, "hold", second.update, "--group", group, "--reason", "breaks the till printers")
	if hold.Hold == "" {
		t.Fatal("hold prints no id")
	}
	second.approve()
	second.awaitState("held", time.Minute)
	for name, row := range f.rows(second.update) {
		if row.Reason != "policy-hold" {
			t.Errorf("%s is held with reason %q, want policy-hold", name, row.Reason)
		}
	}
	if n := second.doneCount(); n > 0 {
		t.Errorf("%d machines installed what is on hold", n)
	}
	t.Logf("held everywhere %.1f s after the approval", time.Since(second.approvedAt).Seconds())
	f.mustRun("release", hold.Hold, "--data", f.seed.data)
	released := time.Now()
	second.awaitInstalled()
	t.Logf("installed everywhere %.1f s after the release", time.Since(released).Seconds())
	first.awaitState("installed", time.Minute)
}

// diskFull: one machine's data folder has too little room. It says what it needs and what it has, the
// others go on, and it resumes by itself when there is space.
func diskFull(t *testing.T, bin string) {
	const disk, left = 224 << 20, 20 << 20
	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: 3}, prepare: func(m *machine) {
		if m.name == "m02" {
			mountSmall(m, disk)
		}
	}})
	small := f.machine("m02")
	filler := filepath.Join(small.data, "filler")
	fill(t, small.data, filler, left)

	d := f.deliver("random", randomFile(t, f.dir, "random.bin", payloadSize))
	d.awaitFiles(2)
	f.eventually(time.Minute, "m02 says disk-short", func() (bool, string) {
		return f.rows(d.update)["m02"].Reason == "disk-short", f.told(d.update)
	})
	row := f.rows(d.update)["m02"]
	t.Logf("m02: %s %s, %s, %v", row.State, row.Reason, row.Detail, row.Facts)
	if need, free := row.Facts["needed_bytes"], row.Facts["free_bytes"]; need < d.sizeBytes || free > left {
		t.Errorf("disk-short tells of %d bytes needed and %d free; the payload has %d, the disk %d", need, free, d.sizeBytes, left)
	}
	if n := d.doneCount(); n != 2 {
		t.Errorf("%d machines are done, want the two with room", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	d.awaitInstalled()
	t.Logf("m02 installed %.1f s after there was room", time.Since(freed).Seconds())
	d.log()
}

// mountSmall puts a machine's data folder on a disk of its own.
func mountSmall(m *machine, sizeBytes int) {
	t := m.f.t
	t.Helper()
	if err := syscall.Mount("tmpfs", m.data, "tmpfs", 0, fmt.Sprintf("size=%d", sizeBytes)); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	m.f.unmountLater(m.data)
}

// fill takes space with one file until just left bytes are free.
func fill(t *testing.T, folder, name string, left int64) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(folder, &st); err != nil {
		t.Fatal(err)
	}
	take := int64(st.Bavail)*st.Bsize - left
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(file.Fd()), 0, 0, take); err != nil {
		t.Fatalf("fill the disk with %d bytes: %v", take, err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// lyingPeer: a machine's stored payload is damaged behind its back, so that it offers bytes that are
// not what it says. A machine that comes later still gets the right ones, and the trouble is told.
func lyingPeer(t *testing.T, bin string) {
	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: 3, NoRoute: 1}, later: []string{"m02"}})
	honest, liar, late := f.machines[0], f.machines[1], f.machines[2]
	d := f.deliver("random", randomFile(t, f.dir, "random.bin", 16<<20))
	d.awaitFiles(2)
	f.eventually(time.Minute, "both have reported", func() (bool, string) {
		rows := f.rows(d.update)
		return rows[honest.name].State == "installed" && rows[liar.name].State == "installed", f.told(d.update)
	})
	liar.stop(syscall.SIGTERM)
	spoil(t, filepath.Join(liar.data, "payloads"), d.sizeBytes)
	liar.start()
	late.peers = append(late.peers, liar.host.Addr.String()+":"+meshPort)
	late.start()
	d.awaitInstalled()
	told := f.mustRun("status", "--json", "--data", f.seed.data)
	for _, m := range f.machines {
		told += f.mustRun("status", "--json", "--data", m.data)
	}
	if !strings.Contains(told, "trust-bad-chunk") && !strings.Contains(told, "disk-error") {
		t.Errorf("nobody's status tells of the damaged chunks")
	}
	d.log()
}

// spoil flips a bit in every 64 KiB of each file that is as large as the payload.
func spoil(t *testing.T, folder string, sizeBytes int64) {
	t.Helper()
	spoiled := 0
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() < sizeBytes {
			return err
		}
		spoiled++
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		for at := int64(1000); at < info.Size(); at += 64 << 10 {
			b := make([]byte, 1)
			if _, err := file.ReadAt(b, at); err != nil {
				return err
			}
			b[0] ^= 1
			if _, err := file.WriteAt(b, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if spoiled == 0 {
		t.Fatalf("no payload found in %s", folder)
	}
}

// mistakes: wrong commands get one clear line and the right exit code, and change nothing.
func mistakes(t *testing.T, bin string) {
	f := newFleet(t, bin, fleetConfig{lab: bench.LabConfig{Machines: 1}})
	m := f.machines[0]
	d := f.deliver("good", randomFile(t, f.dir, "good.bin", 1<<20))
	d.awaitInstalled()
	before := f.status().Epoch
	empty, other := filepath.Join(f.dir, "empty"), filepath.Join(f.dir, "other")
	f.mustRun("init", "--org", "Other", "--insecure-no-passphrase", "--data", other)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		what string
		code int
		args []string
	}{
		{"unknown verb", 2, []string{"aprove", d.update}},
		{"unknown flag", 2, []string{"approve", d.update, "--gruop", group, "--data", f.seed.data}},
		{"missing argument", 2, []string{"approve", "--group", group, "--data", f.seed.data}},
		{"unknown action", 2, []string{"approve", d.update, "--group", group, "--action", "explode", "--data", f.seed.data}},
		{"unknown update", 5, []string{"approve", "nothing-like-it", "--group", group, "--data", f.seed.data}},
		{"unknown group", 5, []string{"approve", d.update, "--group", "nobody", "--data", f.seed.data}},
		{"unknown hold", 5, []string{"release", "nothing-like-it", "--data", f.seed.data}},
		{"unknown machine", 5, []string{"explain", d.update, "nobody", "--data", f.seed.data}},
		{"missing file", 5, []string{"import", filepath.Join(f.dir, "missing.bin"), "--data", f.seed.data}},
		{"approval on a machine without keys", 3, []string{"approve", d.update, "--group", group, "--data", m.data}},
		{"no running node", 4, []string{"status", "--json", "--data", empty}},
		{"second process on one data folder", 1, []string{"run", "--data", m.data, "--root", m.root, "--listen", "127.0.0.1:7799"}},
		{"port in use", 1, []string{"run", "--data", other, "--root", m.root, "--listen", taken.Addr().String()}},
		{"second organisation in one data folder", 1, []string{"init", "--org", "Other", "--insecure-no-passphrase", "--data", f.seed.data}},
	} {
		r := f.run(c.args...)
		line := strings.TrimSpace(r.stderr)
		t.Logf("%s: %d %q", c.what, r.code, line)
		if r.code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.what, r.code, c.code)
		}
		if line == "" || strings.Contains(line, "goroutine ") {
			t.Errorf("%s: says %q", c.what, line)
		}
	}
	f.expectForbidden(other, "status", "invite", "approve "+d.update+" --group "+group, "init --org Mine --insecure-no-passphrase")
	if after := f.status(); after.Epoch != before || after.Machines[0].Name == "" {
		t.Errorf("epoch went from %d to %d by mistakes alone", before, after.Epoch)
	}
	d.awaitState("installed", time.Minute)
}

// expectForbidden: another user of the computer gets one clear line for each command, and changes nothing.
func (f *fleet) expectForbidden(dataDir string, commands ...string) {
	f.t.Helper()
	const nobody = 65534
	if err := os.Chmod(f.dir, 0o755); err != nil { // the folders below are private by themselves
		f.t.Fatal(err)
	}
	bin := filepath.Join(f.dir, "patchmesh")
	copyFile(f.t, f.bin, bin)
	for _, c := range commands {
		cmd := exec.Command(bin, append(strings.Fields(c), "--data", dataDir)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Dir = f.dir
		out, err := cmd.CombinedOutput()
		f.t.Logf("as another user, %s: %v %q", c, err, strings.TrimSpace(string(out)))
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "no permission") {
			f.t.Errorf("as another user, %s: exit code %d, want 1 and a word about permission", c, code)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}
