package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
)

// The updates of the demo.
const (
	demoUpdate = "demo-package"
	heldUpdate = "demo-held"
	badUpdate  = "demo-tampered"
)

// demoLab is the processes of a demo and their folders.
type demoLab struct {
	ctx      context.Context
	out      io.Writer
	exe, dir string
	seed     *demoNode
	machines []*demoNode
}

// demoNode is one process.
type demoNode struct {
	name, site, data, root, addr string
	egress                       bool
	cmd                          *exec.Cmd
	log                          *os.File
}

func newDemoLab(ctx context.Context, out io.Writer, nodes int) (*demoLab, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "patchmesh-demo-")
	if err != nil {
		return nil, err
	}
	l := &demoLab{ctx: ctx, out: out, exe: exe, dir: dir}
	l.seed = &demoNode{name: "seed", site: "hq"}
	all := []*demoNode{l.seed}
	for i := range nodes {
		m := &demoNode{name: fmt.Sprintf("north-%d", i+1), site: "north", egress: true}
		if i >= nodes/2 {
			// In the south one machine may use the WAN; the others live on what it brings.
			m = &demoNode{name: fmt.Sprintf("south-%d", i-nodes/2+1), site: "south", egress: i == nodes/2}
		}
		l.machines = append(l.machines, m)
		all = append(all, m)
	}
	for _, n := range all {
		n.data, n.root = filepath.Join(dir, n.name), filepath.Join(dir, n.name+"-root")
		if n.addr, err = freeAddr(); err == nil {
			err = os.MkdirAll(n.root, 0o755)
		}
		if err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// freeAddr finds a loopback port that is free for TCP and UDP.
func freeAddr() (string, error) {
	for range 50 {
		t, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		addr := t.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		_ = t.Close()
		if err == nil {
			_ = u.Close()
			return addr, nil
		}
	}
	return "", errors.New("no free port on loopback")
}

func (l *demoLab) say(format string, args ...any) { fmt.Fprintf(l.out, format+"\n", args...) }

// call runs one patchmesh command and decodes its JSON.
func (l *demoLab) call(into any, args ...string) error {
	var out, errOut bytes.Buffer
	c := exec.CommandContext(l.ctx, l.exe, append(args, "--json")...)
	c.Stdout, c.Stderr = &out, &errOut
	if err := c.Run(); err != nil {
		return fmt.Errorf("patchmesh %s: %w: %s", strings.Join(args[:1], " "), err, api.Clean(errOut.String()))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(out.Bytes(), into)
}

// start runs a node and waits until it answers.
func (l *demoLab) start(n *demoNode, args ...string) error {
	var err error
	if n.log, err = os.Create(filepath.Join(l.dir, n.name+".log")); err != nil {
		return err
	}
	n.cmd = exec.Command(l.exe, append([]string{"run", "--data", n.data, "--listen", n.addr, "--root", n.root, "--mdns=false"}, args...)...)
	n.cmd.Stderr = n.log
	if err := n.cmd.Start(); err != nil {
		return err
	}
	return l.await(15*time.Second, n.name+" to answer", func() (bool, error) {
		return l.call(nil, "peers", "--data", n.data) == nil, nil
	})
}

// await polls until done says so: the processes are independent, there is no event to wait for.
func (l *demoLab) await(most time.Duration, what string, done func() (bool, error)) error {
	for end := time.Now().Add(most); ; {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %v for %s", most, what)
		}
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// found makes the organisation and starts its seed.
func (l *demoLab) found(*demoResult) error {
	l.say("1. an organisation, and its seed on %s", l.seed.addr)
	if err := l.call(nil, "init", "--org", "Demo", "--insecure-no-passphrase", "--data", l.seed.data); err != nil {
		return err
	}
	return l.start(l.seed)
}

// enrol joins and starts all machines, and waits until the seed knows them as online.
func (l *demoLab) enrol(*demoResult) error {
	l.say("2. %d machines in two sites join; in the south one machine may use the WAN, the others may not", len(l.machines))
	first := map[string]*demoNode{}
	for _, m := range l.machines {
		var inv api.Invite
		if err := l.call(&inv, "invite", "--site", m.site, "--group", "office", "--data", l.seed.data); err != nil {
			return err
		}
		join := []string{"join", inv.Token, "--name", m.name, "--data", m.data}
		run := []string{"--egress=no"}
		if m.egress {
			run = []string{"--egress=yes"}
		}
		if f := first[m.site]; f != nil { // machines without a way out join through a neighbour
			join = append(join, "--peer", f.addr)
			run = append(run, "--peer", f.addr)
		} else {
			first[m.site] = m
		}
		if err := l.call(nil, join...); err != nil {
			return err
		}
		if err := l.start(m, run...); err != nil {
			return err
		}
	}
	return l.await(30*time.Second, "all machines to be online", func() (bool, error) {
		f, err := l.fleet()
		n := 0
		for _, m := range f.Machines {
			if m.Online {
				n++
			}
		}
		return n == len(l.machines), err
	})
}

func (l *demoLab) fleet() (*api.Fleet, error) {
	var f api.Fleet
	err := l.call(&f, "status", "--data", l.seed.data)
	return &f, err
}

// imported puts a file into the catalogue.
func (l *demoLab) imported(id, path, installer string) error {
	args := []string{"import", path, "--id", id, "--title", id, "--data", l.seed.data, "--installer", installer}
	if installer == "file" {
		args = append(args, "--installer-arg", "dest=/opt/"+id+"/"+filepath.Base(path))
	}
	return l.call(nil, args...)
}

// deliver publishes a package and watches it arrive.
func (l *demoLab) deliver(r *demoResult) error {
	path, installer, err := l.build(demoUpdate, r.PayloadBytes)
	if err != nil {
		return err
	}
	if fi, err := os.Stat(path); err == nil {
		r.PayloadBytes = fi.Size()
	}
	r.Installer = installer
	l.say("3. a real package of %s is imported, approved for everybody, and spreads", api.Size(r.PayloadBytes))
	if err := l.imported(demoUpdate, path, installer); err != nil {
		return err
	}
	began := time.Now()
	if err := l.call(nil, "approve", demoUpdate, "--group", "all", "--data", l.seed.data); err != nil {
		return err
	}
	doneAt := map[string]time.Duration{}
	err = l.await(90*time.Second, "all machines to install", func() (bool, error) {
		return l.progress(began, doneAt)
	})
	if err != nil {
		return err
	}
	return l.settle(r, doneAt)
}

// progress asks every machine itself, prints a line when something has moved, and notes who is done.
func (l *demoLab) progress(began time.Time, doneAt map[string]time.Duration) (bool, error) {
	var line strings.Builder
	moved := false
	for _, m := range l.machines {
		var f api.Fleet
		if err := l.call(&f, "status", "--data", m.data); err != nil {
			return false, err
		}
		percent := int64(0)
		for _, u := range f.Machines[0].Updates {
			if u.Update != demoUpdate {
				continue
			}
			if u.SizeBytes > 0 {
				percent = min(100*u.HaveBytes/u.SizeBytes, 100)
			}
			if _, seen := doneAt[m.name]; u.State == "installed" && !seen {
				doneAt[m.name], moved = time.Since(began), true
			}
		}
		mark := fmt.Sprintf("%3d%%", percent)
		if _, done := doneAt[m.name]; done {
			mark = "done"
		}
		fmt.Fprintf(&line, "  %s %s", m.name, mark)
	}
	if moved {
		l.say("   %5.2f s%s", time.Since(began).Seconds(), line.String())
	}
	return len(doneAt) == len(l.machines), nil
}

// settle waits for the last reports at the seed and adds up where the bytes came from.
func (l *demoLab) settle(r *demoResult, doneAt map[string]time.Duration) error {
	for _, d := range doneAt {
		if s := d.Seconds(); r.FirstInstalled == 0 || s < r.FirstInstalled {
			r.FirstInstalled = s
		}
		r.LastInstalled = max(r.LastInstalled, d.Seconds())
	}
	return l.await(20*time.Second, "the machines' reports", func() (bool, error) {
		f, err := l.fleet()
		if err != nil {
			return false, err
		}
		r.Installed, r.Failed, r.WANBytes = 0, 0, 0
		var total, duplicate int64
		for _, m := range f.Machines {
			for _, u := range m.Updates {
				if u.Update != demoUpdate {
					continue
				}
				if u.State == "installed" {
					r.Installed++
				} else {
					r.Failed++
				}
				r.WANBytes += u.Bytes.WAN()
				total += u.Bytes.Total()
				duplicate += u.Bytes.Duplicate
			}
		}
		r.rows = f.Machines
		if total > 0 {
			r.DuplicateRatio = float64(duplicate) / float64(total)
		}
		r.Amplification = float64(r.WANBytes) / float64(r.PayloadBytes*int64(r.Sites))
		return r.Installed == len(l.machines), nil
	})
}

// holdBack approves a second update under a hold: nobody installs it.
func (l *demoLab) holdBack(r *demoResult) error {
	l.say("4. a second update is held before it is approved: it goes nowhere")
	path, installer, err := l.build(heldUpdate, 300_000)
	if err != nil {
		return err
	}
	if err := l.imported(heldUpdate, path, installer); err != nil {
		return err
	}
	if err := l.call(nil, "hold", heldUpdate, "--reason", "breaks the till software", "--data", l.seed.data); err != nil {
		return err
	}
	if err := l.call(nil, "approve", heldUpdate, "--group", "all", "--data", l.seed.data); err != nil {
		return err
	}
	return l.await(20*time.Second, "the hold to be everywhere", func() (bool, error) {
		var err error
		r.Held, err = l.countState(heldUpdate, "held")
		return r.Held == len(l.machines), err
	})
}

func (l *demoLab) countState(update, state string) (int, error) {
	f, err := l.fleet()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, m := range f.Machines {
		for _, u := range m.Updates {
			if u.Update == update && u.State == state {
				n++
			}
		}
	}
	return n, nil
}

// tamper changes one byte of an imported payload behind the seed's back and approves it. The seed finds
// that before it gives the bytes away; a machine that was given them would refuse them too.
func (l *demoLab) tamper(r *demoResult) error {
	l.say("5. somebody changes one byte of a third update in the seed's own store: nobody is given it")
	path, installer, err := l.build(badUpdate, 200_000)
	if err != nil {
		return err
	}
	before := l.payloads()
	if err := l.imported(badUpdate, path, installer); err != nil {
		return err
	}
	if err := l.flip(before); err != nil {
		return err
	}
	if err := l.call(nil, "approve", badUpdate, "--group", "all", "--data", l.seed.data); err != nil {
		return err
	}
	err = l.await(30*time.Second, "the tampered bytes to be refused", func() (bool, error) {
		f, err := l.fleet()
		r.Refused = 0
		if err != nil {
			return false, err
		}
		for _, list := range append([][]api.Refusal{f.Refused}, refusalsOf(f)...) {
			if slices.ContainsFunc(list, func(x api.Refusal) bool { return x.Reason == "trust-bad-chunk" }) {
				r.Refused++
			}
		}
		return r.Refused > 0, nil
	})
	if err != nil {
		return err
	}
	n, err := l.countState(badUpdate, "installed")
	if err == nil && n > 0 {
		return fmt.Errorf("%d machines installed tampered bytes", n)
	}
	return err
}

func refusalsOf(f *api.Fleet) (lists [][]api.Refusal) {
	for _, m := range f.Machines {
		lists = append(lists, m.Refused)
	}
	return lists
}

// payloads lists the files of the seed's store.
func (l *demoLab) payloads() map[string]bool {
	out := map[string]bool{}
	names, _ := filepath.Glob(filepath.Join(l.seed.data, "payloads", "*"))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// flip changes a byte in the payload that was not there before.
func (l *demoLab) flip(before map[string]bool) error {
	for path := range l.payloads() {
		if before[path] || filepath.Ext(path) != "" {
			continue
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, 1000); err != nil {
			return err
		}
		b[0] ^= 1
		_, err = f.WriteAt(b, 1000)
		return err
	}
	return errors.New("the payload to tamper with was not found")
}

// build makes an update: a real Debian package where this system can make and, as root, install one;
// else a file.
func (l *demoLab) build(name string, size int64) (path, installer string, err error) {
	data := filepath.Join(l.dir, name+".bin")
	f, err := os.Create(data)
	if err != nil {
		return "", "", err
	}
	if _, err = io.CopyN(f, rand.Reader, size); err == nil {
		err = f.Close()
	}
	if err != nil {
		return "", "", err
	}
	deb, err := exec.LookPath("dpkg-deb")
	if err != nil || os.Geteuid() != 0 {
		return data, "file", nil
	}
	tree := filepath.Join(l.dir, name+"-tree")
	control := fmt.Sprintf("Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Demo <demo@example.org>\nDescription: update of the demo\n", name)
	if err := errors.Join(
		os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755), os.MkdirAll(filepath.Join(tree, "opt", name), 0o755),
		os.WriteFile(filepath.Join(tree, "DEBIAN", "control"), []byte(control), 0o644),
		os.Rename(data, filepath.Join(tree, "opt", name, "data.bin")),
	); err != nil {
		return "", "", err
	}
	out := filepath.Join(l.dir, name+"_1.0_all.deb")
	if b, err := exec.CommandContext(l.ctx, deb, "-Znone", "--root-owner-group", "--build", tree, out).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("dpkg-deb: %w: %s", err, b)
	}
	return out, "deb", nil
}

// logTail is the end of the seed's and the first machine's log, for a demo that went wrong.
func (l *demoLab) logTail() string {
	var s strings.Builder
	for _, n := range append([]*demoNode{l.seed}, l.machines[:1]...) {
		b, err := os.ReadFile(filepath.Join(l.dir, n.name+".log"))
		if err == nil {
			fmt.Fprintf(&s, "--- %s\n%s\n", n.name, b[max(0, len(b)-1500):])
		}
	}
	return s.String()
}

// close ends the processes that the lab has started and removes everything.
func (l *demoLab) close() {
	all := append([]*demoNode{l.seed}, l.machines...)
	for _, n := range all {
		if n.cmd != nil && n.cmd.Process != nil {
			_ = n.cmd.Process.Signal(os.Interrupt)
		}
	}
	for _, n := range all {
		if n.cmd == nil || n.cmd.Process == nil {
			continue
		}
		kill := time.AfterFunc(5*time.Second, func() { _ = n.cmd.Process.Kill() })
		_ = n.cmd.Wait()
		kill.Stop()
		_ = n.log.Close()
	}
	_ = os.RemoveAll(l.dir)
}
