//go:build linux

package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Machine is one computer of a Site: a namespace, a folder, and what a contender runs there.
type Machine struct {
	Host
	Dir string // all that it has

	processes []*Process // guarded by Site.mu
}

// Got is where an update must be in the end: complete, and by that name only when it is. What is under
// way belongs elsewhere in Dir.
func (m *Machine) Got(u Update) string { return filepath.Join(m.Dir, gotFolder, u.Name) }

// gotFolder is the folder of a machine that holds what has arrived.
const gotFolder = "got"

// Site is the network and the machines of one run of one contender.
type Site struct {
	Lab      *Lab
	Scenario Scenario
	Dir      string
	Seed     *Machine
	Early    []*Machine // have the payload before the clock starts
	Machines []*Machine // must get it
	Late     []*Machine // come half way, and must get it too

	mu      sync.Mutex
	started int
}

// lab is the network of the scenario. Without a WAN the first machine is the seed.
func (s Scenario) lab() LabConfig {
	c := LabConfig{Machines: s.Machines + s.late() + s.early(), LANBitPerSec: s.LANBitPerSec, WANBitPerSec: s.WANBitPerSec, Unshaped: s.Unshaped}
	if !s.WAN {
		c.Machines++
	}
	return c
}

// newSite builds the network and the folders. The caller closes it.
func newSite(s Scenario) (*Site, error) {
	lab, err := NewLab(s.lab())
	if err != nil {
		return nil, err
	}
	dir, err := newFolder()
	if err != nil {
		return nil, errors.Join(err, lab.Close())
	}
	site := &Site{Lab: lab, Scenario: s, Dir: dir}
	hosts := lab.Machines
	seed := lab.Origin
	if !s.WAN {
		seed, hosts = hosts[0], hosts[1:]
	}
	all := make([]*Machine, 0, len(hosts)+1)
	for _, h := range append([]Host{seed}, hosts...) {
		m := &Machine{Host: h, Dir: filepath.Join(dir, h.Name)}
		if err := os.MkdirAll(filepath.Join(m.Dir, gotFolder), 0o755); err != nil {
			return nil, errors.Join(err, site.close())
		}
		all = append(all, m)
	}
	// Clients that give up their root rights must reach their folders.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, site.close())
	}
	site.Seed, all = all[0], all[1:]
	site.Early, all = all[:s.early()], all[s.early():]
	site.Machines, site.Late = all[:s.Machines], all[s.Machines:]
	return site, nil
}

// sitePrefix begins the names of the folders of sites; the mark of the process follows.
const sitePrefix = "pmbench-"

// all is every machine, the seed first.
func (s *Site) all() []*Machine {
	all := append([]*Machine{s.Seed}, s.Early...)
	return append(append(all, s.Machines...), s.Late...)
}

// cost is what all processes that ever ran have cost up to now.
func (s *Site) cost() (cpu time.Duration) {
	for _, m := range s.all() {
		for _, p := range s.processesOf(m) {
			cpu += p.usage().CPU
		}
	}
	return cpu
}

// peakRSS is the most memory that the programs of one machine held, each at its own peak. Programs
// that ran one after the other on a machine do not add up: the largest counts.
func (s *Site) peakRSS(m *Machine) int64 {
	peak := int64(0)
	for _, p := range s.processesOf(m) {
		peak = max(peak, p.usage().PeakRSSBytes)
	}
	return peak
}

func (s *Site) processesOf(m *Machine) []*Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Process(nil), m.processes...)
}

// kill ends all programs of a machine as a power cut would.
func (s *Site) kill(m *Machine) {
	for _, p := range s.processesOf(m) {
		if p.alive() {
			p.usage() // the last look at its memory
			p.kill()
		}
	}
}

// troubles are the ends of the logs of programs that failed, for a run that came to nothing.
func (s *Site) troubles() string {
	var b strings.Builder
	for _, m := range s.all() {
		for _, p := range s.processesOf(m) {
			if !p.alive() && p.cmd.ProcessState.ExitCode() > 0 {
				fmt.Fprintf(&b, "%s ended with %s: %s\n", p.name, p.cmd.ProcessState, p.logTail())
			}
		}
	}
	return b.String()
}

// close ends everything and removes it.
func (s *Site) close() error {
	if s.Seed != nil {
		for _, m := range s.all() {
			s.kill(m)
		}
	}
	return errors.Join(s.Lab.Close(), os.RemoveAll(s.Dir))
}

// newFolder makes the folder of a site, and removes those that killed runs have left. Its path is short:
// local sockets below it may have about 100 bytes.
func newFolder() (string, error) {
	if _, err := removeFolders(); err != nil {
		return "", err
	}
	own, err := processMark(os.Getpid())
	if err != nil {
		return "", err
	}
	return os.MkdirTemp("", sitePrefix+own+"-")
}

// removeFolders removes the folders of processes that live no more.
func removeFolders() (removed []string, err error) {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), sitePrefix+"*"))
	for _, f := range folders {
		mark, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(f), sitePrefix), "-")
		if !ownerGone(mark) {
			continue
		}
		err = errors.Join(err, os.RemoveAll(f))
		removed = append(removed, f)
	}
	return removed, err
}

// CleanUp removes what runs that were killed have left: namespaces with what runs in them, and folders.
// Runs that are still going are left alone. The next run would do the same.
func CleanUp() (removed []string, err error) {
	if err := labPossible(); err != nil {
		return nil, err
	}
	before, err := namespaces(labPrefix)
	if err != nil {
		return nil, err
	}
	if err := removeLeftovers(); err != nil {
		return nil, err
	}
	after, err := namespaces(labPrefix)
	if err != nil {
		return nil, err
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			removed = append(removed, name)
		}
	}
	folders, err := removeFolders()
	return append(removed, folders...), err
}
