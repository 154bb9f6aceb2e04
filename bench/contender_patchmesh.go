//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var patchmeshEntry = entry{
	name:  "patchmesh",
	about: "the product: init, run, invite, join, import; approve starts the clock",
	make:  func(s *Site, bin string) Contender { return &patchmesh{site: s, bin: bin} },
}

// patchmesh is driven by its command line alone, with the settings that it has by itself. The machines
// idle when the clock starts, since its nodes are resident by nature.
type patchmesh struct {
	site *Site
	bin  string
}

const (
	meshPort   = ":7700"
	meshGroup  = "branch"
	meshAtOnce = 2 // joins at a time
)

func (p *patchmesh) Name() string { return "patchmesh" }
func (p *patchmesh) Close() error { return nil }

func (p *patchmesh) data(m *Machine) string { return filepath.Join(m.Dir, "data") }

// Prepare makes the organisation and enrols all machines, also those that come later.
func (p *patchmesh) Prepare(ctx context.Context) error {
	seed := p.site.Seed
	init := []string{"init", "--org", "Bench", "--insecure-no-passphrase", "--data", p.data(seed)}
	if !p.site.Scenario.WAN {
		init = append(init, "--site", meshGroup) // the seed stands in the branch
	}
	if _, err := p.site.Run(ctx, seed, p.bin, init...); err != nil {
		return err
	}
	if err := p.start(ctx, seed); err != nil {
		return err
	}
	others := p.site.all()[1:]
	out, err := p.site.Run(ctx, seed, p.bin, "invite", "--site", meshGroup, "--group", meshGroup, "--uses", strconv.Itoa(len(others)), "--json", "--data", p.data(seed))
	if err != nil {
		return err
	}
	var invite struct{ Token string }
	if err := json.Unmarshal([]byte(out), &invite); err != nil {
		return fmt.Errorf("invite: %w in %s", err, out)
	}
	up := len(p.site.Early) + len(p.site.Machines)
	if p.site.Scenario.early() > 0 {
		up = len(p.site.Early) // the others come when the clock starts
	}
	if err := forEach(others, meshAtOnce, func(i int, m *Machine) error {
		if _, err := p.site.Run(ctx, m, p.bin, "join", invite.Token, "--name", m.Name, "--peer", seed.Addr.String()+meshPort, "--data", p.data(m)); err != nil {
			return err
		}
		if i < up {
			return p.start(ctx, m)
		}
		return nil
	}); err != nil {
		return err
	}
	return p.awaitOnline(ctx, up)
}

// begin runs a node as a user would.
func (p *patchmesh) begin(m *Machine) (*Process, error) {
	args := []string{"run", "--data", p.data(m), "--root", m.Dir, "--listen", m.Addr.String() + meshPort}
	if m != p.site.Seed {
		args = append(args, "--peer", p.site.Seed.Addr.String()+meshPort)
	}
	return p.site.Start(m, p.bin, args...)
}

// start runs a node and waits until it answers.
func (p *patchmesh) start(ctx context.Context, m *Machine) error {
	node, err := p.begin(m)
	if err != nil {
		return err
	}
	return await(ctx, time.Minute, m.Name+" to answer", func() error {
		if !node.alive() {
			return fmt.Errorf("the node ended: %s", node.logTail())
		}
		_, err := p.site.Run(ctx, m, p.bin, "peers", "--json", "--data", p.data(m))
		return err
	})
}

// Join starts a machine that was enrolled before and has never run.
func (p *patchmesh) Join(ctx context.Context, m *Machine) error { return p.start(ctx, m) }

// meshStatus is the part of `patchmesh status --json` that is read here.
type meshStatus struct {
	Machines []struct {
		Name    string
		Online  bool
		Updates []struct {
			Update, State string
			Bytes         map[string]float64
		}
	}
}

func (p *patchmesh) status(ctx context.Context) (meshStatus, error) {
	var s meshStatus
	out, err := p.site.Run(ctx, p.site.Seed, p.bin, "status", "--json", "--data", p.data(p.site.Seed))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

func (p *patchmesh) awaitOnline(ctx context.Context, n int) error {
	return await(ctx, time.Minute, fmt.Sprintf("%d machines to be online", n), func() error {
		s, err := p.status(ctx)
		if err != nil {
			return err
		}
		online := 0
		for _, m := range s.Machines {
			if m.Online && m.Name != p.site.Seed.Name {
				online++
			}
		}
		if online < n {
			return fmt.Errorf("%d are", online)
		}
		return nil
	})
}

// Stage imports the updates, which tells nobody.
func (p *patchmesh) Stage(ctx context.Context, updates []Update) error {
	for _, u := range updates {
		if _, err := p.site.Run(ctx, p.site.Seed, p.bin, "import", u.Path, "--id", id(u), "--installer", "file",
			"--installer-arg", "dest=/"+gotFolder+"/"+u.Name, "--data", p.data(p.site.Seed)); err != nil {
			return err
		}
	}
	return nil
}

// id is the name of an update in the catalogue.
func id(u Update) string { return strings.TrimSuffix(u.Name, ".bin") }

// Distribute approves the updates, one signature each. Where some machines have them before, the
// updates are approved already and the other machines are switched on.
func (p *patchmesh) Distribute(ctx context.Context, updates []Update) error {
	if p.site.Scenario.early() == 0 {
		return p.approve(ctx, updates)
	}
	for _, m := range p.site.Machines {
		if _, err := p.begin(m); err != nil {
			return err
		}
	}
	return nil
}

func (p *patchmesh) approve(ctx context.Context, updates []Update) error {
	for _, u := range updates {
		if _, err := p.site.Run(ctx, p.site.Seed, p.bin, "approve", id(u), "--group", meshGroup, "--data", p.data(p.site.Seed)); err != nil {
			return err
		}
	}
	return nil
}

// Told waits until the machines have reported and adds up where their bytes came from. Early machines
// are left out: what they fetched was before the clock, or to mend what was spoiled.
func (p *patchmesh) Told(ctx context.Context, updates []Update) (map[string]float64, error) {
	want := len(p.site.Machines) * len(updates) // as many come as are killed
	counts := map[string]bool{}
	for _, m := range slices.Concat(p.site.Machines, p.site.Late) {
		counts[m.Name] = true
	}
	ids := map[string]bool{}
	for _, u := range updates {
		ids[id(u)] = true
	}
	told := map[string]float64{}
	err := await(ctx, 20*time.Second, "reports of all machines", func() error {
		s, err := p.status(ctx)
		if err != nil {
			return err
		}
		clear(told)
		for _, m := range s.Machines {
			for _, u := range m.Updates {
				if !ids[u.Update] || !counts[m.Name] {
					continue
				}
				if u.State == "installed" {
					told["installed"]++
				}
				told["payload_wan_bytes"] += u.Bytes["seed"] + u.Bytes["origin"]
				for _, tier := range []string{"site", "subnet", "duplicate", "wasted"} {
					told[tier+"_bytes"] += u.Bytes[tier]
				}
			}
		}
		if told["installed"] < float64(want) {
			return fmt.Errorf("%.0f of %d", told["installed"], want)
		}
		return nil
	})
	return told, err
}

// await polls until met returns no error.
func await(ctx context.Context, most time.Duration, what string, met func() error) error {
	end := time.Now().Add(most)
	for {
		err := met()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s for %s: %w", most, what, err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// forEach does something for all machines, a few at a time.
func forEach(machines []*Machine, atOnce int, do func(i int, m *Machine) error) error {
	errs := make([]error, len(machines))
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, m := range machines {
		turns <- struct{}{}
		all.Go(func() {
			errs[i] = do(i, m)
			<-turns
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
