//go:build linux

package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"patchmesh/bench"
)

const patience = 3 * time.Minute // for a delivery with trouble in it; ten seconds are usual

// delivery is one update on its way to all machines of a fleet, and what it cost so far.
type delivery struct {
	f           *fleet
	update      string
	dest        string // below each root; empty where no file tells the end
	sizeBytes   int64
	sum         string
	approvedAt  time.Time // when the approve command had returned
	wanBefore   bench.Counters
	usageBefore map[string]bench.Usage

	stopWatch func()
	mu        sync.Mutex
	doneAt    map[string]time.Time // machine to when its file was in place
}

// deliver imports a file, approves it for the branch and begins to watch the machines.
func (f *fleet) deliver(id, path string) *delivery {
	f.t.Helper()
	dest := "/srv/" + id + ".bin"
	d := f.imported(id, path, "--installer", "file", "--installer-arg", "dest="+dest)
	d.dest = dest
	d.approve()
	return d
}

// imported puts a file into the catalogue and does not approve it.
func (f *fleet) imported(id, path string, more ...string) *delivery {
	f.t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		f.t.Fatal(err)
	}
	var facts struct {
		Update string `json:"update"`
	}
	f.onSeed(&facts, append([]string{"import", path, "--id", id}, more...)...)
	if facts.Update == "" {
		f.t.Fatalf("import of %s prints no update", path)
	}
	return &delivery{
		f: f, update: facts.Update, sizeBytes: info.Size(), sum: fileSum(f.t, path),
		doneAt: map[string]time.Time{}, stopWatch: func() {},
	}
}

// approve reads all counters, approves, and starts the clock when the command has returned.
func (d *delivery) approve() {
	f := d.f
	f.t.Helper()
	d.wanBefore = f.wan()
	d.usageBefore = map[string]bench.Usage{}
	for _, m := range f.all() {
		d.usageBefore[m.name] = m.usage()
	}
	if d.dest != "" {
		d.watch()
	}
	var facts struct {
		Published bool `json:"published"`
	}
	f.onSeed(&facts, "approve", d.update, "--group", group)
	d.approvedAt = time.Now()
	if !facts.Published {
		f.t.Fatalf("approval of %s was not published", d.update)
	}
}

// watch notes when each machine's file is in place. It only looks at names, so that it costs nothing.
func (d *delivery) watch() {
	quit, gone := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.stopWatch = func() { once.Do(func() { close(quit); <-gone }) }
	d.f.t.Cleanup(d.stopWatch)
	go func() {
		defer close(gone)
		tick := time.NewTicker(pollFiles)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case now := <-tick.C:
				d.look(now)
			}
		}
	}()
}

func (d *delivery) look(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.f.machines {
		if _, ok := d.doneAt[m.name]; ok {
			continue
		}
		if _, err := os.Stat(filepath.Join(m.root, d.dest)); err == nil {
			d.doneAt[m.name] = now
		}
	}
}

func (d *delivery) doneCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.doneAt)
}

// awaitFiles waits until the file is on so many machines, watching names only: the machines are not
// disturbed by questions.
func (d *delivery) awaitFiles(n int) {
	d.f.t.Helper()
	for end := time.Now().Add(patience); d.doneCount() < n; time.Sleep(pollFiles) {
		if time.Now().After(end) {
			d.f.t.Fatalf("after %s %d of %d machines have %s: %s", patience, d.doneCount(), n, d.update, d.f.told(d.update))
		}
	}
}

// awaitInstalled waits for all files, compares their SHA-256, then waits until the seed's status
// says so too.
func (d *delivery) awaitInstalled() {
	f := d.f
	f.t.Helper()
	if d.dest != "" {
		d.awaitFiles(len(f.machines))
		d.stopWatch()
		for _, m := range f.machines {
			if got := fileSum(f.t, filepath.Join(m.root, d.dest)); got != d.sum {
				f.t.Errorf("%s has SHA-256 %s, want %s", m.name, got, d.sum)
			}
		}
	}
	d.awaitState("installed", patience)
}

// awaitState waits until the seed's status shows every machine of the branch in one state.
func (d *delivery) awaitState(state string, patience time.Duration) {
	f := d.f
	f.t.Helper()
	f.eventually(patience, fmt.Sprintf("%s is %s everywhere", d.update, state), func() (bool, string) {
		rows, n := f.rows(d.update), 0
		for _, m := range f.machines {
			if rows[m.name].State == state {
				n++
			}
		}
		return n == len(f.machines), f.told(d.update)
	})
}

// awaitHalf waits until half of the payload has come over the WAN, by the counters of the link.
func (d *delivery) awaitHalf() {
	d.f.t.Helper()
	for end := time.Now().Add(patience); d.wanIn() < d.sizeBytes/2; time.Sleep(pollFiles) {
		if time.Now().After(end) {
			d.f.t.Fatalf("after %s only %d bytes came over the WAN: %s", patience, d.wanIn(), d.f.told(d.update))
		}
	}
}

func (f *fleet) wan() bench.Counters {
	f.t.Helper()
	c, err := f.lab.WAN()
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (d *delivery) wanIn() int64 { return d.f.wan().Sub(d.wanBefore).RXBytes }

// bound is payload / WAN rate: no scheme can be faster.
func (d *delivery) bound() time.Duration {
	return time.Duration(float64(d.sizeBytes) * 8 / float64(d.f.lab.Config.WANBitPerSec) * float64(time.Second))
}

// first and last are when the first and the last machine were done, since the approval.
func (d *delivery) first() time.Duration { return d.times()[0] }
func (d *delivery) last() time.Duration  { all := d.times(); return all[len(all)-1] }

func (d *delivery) times() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []time.Duration{}
	for _, at := range d.doneAt {
		all = append(all, at.Sub(d.approvedAt))
	}
	if len(all) == 0 {
		return []time.Duration{0}
	}
	slices.Sort(all)
	return all
}

// cpu is the processor time of all nodes since the approval, in seconds per GB delivered.
func (d *delivery) cpu() (seconds, perGB float64) {
	d.f.t.Helper()
	for _, m := range d.f.all() {
		seconds += (m.usage().CPU - d.usageBefore[m.name].CPU).Seconds()
	}
	return seconds, seconds / (float64(d.sizeBytes) * float64(len(d.f.machines)) / 1e9)
}

func (d *delivery) peakRSS() int64 {
	d.f.t.Helper()
	peak := int64(0)
	for _, m := range d.f.machines {
		peak = max(peak, m.usage().PeakRSSBytes)
	}
	return peak
}

// tiers sums what the machines say about where their bytes came from.
func (d *delivery) tiers() tierBytes {
	d.f.t.Helper()
	var sum tierBytes
	for _, r := range d.f.rows(d.update) {
		sum.Store += r.Bytes.Store
		sum.Subnet += r.Bytes.Subnet
		sum.Site += r.Bytes.Site
		sum.Media += r.Bytes.Media
		sum.Neighbour += r.Bytes.Neighbour
		sum.Seed += r.Bytes.Seed
		sum.Origin += r.Bytes.Origin
		sum.Wasted += r.Bytes.Wasted
		sum.Duplicate += r.Bytes.Duplicate
	}
	return sum
}

// log prints the figures of a delivery.
func (d *delivery) log() {
	d.f.t.Helper()
	size := float64(d.sizeBytes)
	wan := d.f.wan().Sub(d.wanBefore)
	seconds, perGB := d.cpu()
	sum := d.tiers()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "update\t%s, %.1f MiB to %d machines\n", d.update, size/(1<<20), len(d.f.machines))
	fmt.Fprintf(w, "WAN wire in / payload\t%.4f\t%d bytes, out %.4f\n", float64(wan.RXBytes)/size, wan.RXBytes, float64(wan.TXBytes)/size)
	fmt.Fprintf(w, "WAN payload / payload\t%.4f\tas the machines tell it\n", float64(sum.wan())/size)
	if d.dest != "" {
		fmt.Fprintf(w, "first, last done\t%.2f s, %.2f s\t%.3f of payload / WAN rate (%.2f s)\n", d.first().Seconds(), d.last().Seconds(), d.last().Seconds()/d.bound().Seconds(), d.bound().Seconds())
	}
	fmt.Fprintf(w, "processor\t%.2f s\t%.2f s per GB delivered\n", seconds, perGB)
	fmt.Fprintf(w, "peak memory\t%.1f MB\tthe most of one machine; seed %.1f MB\n", float64(d.peakRSS())/1e6, float64(d.f.seed.usage().PeakRSSBytes)/1e6)
	fmt.Fprintf(w, "bytes by tier\tsite %d, subnet %d, seed %d, origin %d\twasted %d, duplicate %d\n", sum.Site, sum.Subnet, sum.Seed, sum.Origin, sum.Wasted, sum.Duplicate)
	_ = w.Flush()
	d.f.t.Logf("\n%s", b.String())
}

func (d *delivery) expectWAN(limit float64) {
	d.f.t.Helper()
	if got := float64(d.wanIn()) / float64(d.sizeBytes); got > limit {
		d.f.t.Errorf("%s: WAN wire bytes are %.4f of the payload, limit %.2f", d.update, got, limit)
	}
}

// expectOnePayload wants the machines to tell that the site took the payload over the WAN once.
func (d *delivery) expectOnePayload() {
	d.f.t.Helper()
	if got := float64(d.tiers().wan()) / float64(d.sizeBytes); got < 0.995 || got > 1.005 {
		d.f.t.Errorf("%s: the machines tell of %.4f payloads over the WAN, want 1.00", d.update, got)
	}
}

func (d *delivery) expectTime(limit float64) {
	d.f.t.Helper()
	if got := d.last().Seconds() / d.bound().Seconds(); got > limit {
		d.f.missed("%s: the last machine took %.3f of payload / WAN rate, goal %.2f", d.update, got, limit)
	}
}

func (d *delivery) expectCost() {
	d.f.t.Helper()
	if _, perGB := d.cpu(); perGB > cpuLimit {
		d.f.missed("%s: %.2f s of processor per GB, goal %.1f", d.update, perGB, cpuLimit)
	}
	if peak := d.peakRSS(); float64(peak) > rssLimit {
		d.f.t.Errorf("%s: a machine held %d bytes of memory, limit %.0f", d.update, peak, rssLimit)
	}
}

// randomFile makes data that no compression shrinks, the same in every run.
func randomFile(t *testing.T, dir, name string, sizeBytes int64) string {
	t.Helper()
	path := filepath.Join(dir, name)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	seed := sha256.Sum256([]byte(name))
	if _, err := io.CopyN(file, rand.NewChaCha8(seed), sizeBytes); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func fileSum(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// missed reports a goal of time or processor that was not reached. Those depend on the machine that the
// test runs on and on what else it does, so they fail the test only where PATCHMESH_E2E_STRICT=1 says
// that it is quiet; bytes, memory and outcomes are the same everywhere and always count.
func (f *fleet) missed(format string, args ...any) {
	f.t.Helper()
	if os.Getenv("PATCHMESH_E2E_STRICT") == "1" {
		f.t.Errorf(format, args...)
		return
	}
	f.t.Logf("GOAL MISSED: "+format, args...)
}
