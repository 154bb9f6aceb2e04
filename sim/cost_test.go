package sim

import (
	"runtime"
	"testing"
)

// What a hundred thousand machines take is what one takes: bytes for each that is done, and how often a
// delivered chunk asks for memory. Both are counted and not timed, so a busy computer changes nothing.
func TestMachinesAndChunksAreCheap(t *testing.T) {
	if raced {
		t.Skip("the race detector keeps memory of its own")
	}
	sc, err := ParseScenario("cost", `
site   s count=3 machines=50 egress=1 wan=100Mbit/s..200Mbit/s lan=1Gbit/s delay=10ms..40ms neighbours=6
update u1 size=64MB chunk=256KiB
at     10s approve u1
`)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w, err := newWorld(sc, Options{Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.run(nil, nil)
	r := w.report()
	runtime.GC()
	runtime.ReadMemStats(&after)
	machine := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(r.Machines)
	chunk := float64(after.Mallocs-before.Mallocs) / float64(r.Chunks)
	t.Logf("%d bytes a machine, %.1f allocations a chunk, %d machines done, %d chunks", machine, chunk, r.Installed, r.Chunks)
	if r.Installed != 150 || r.Amplification != 1 {
		t.Errorf("%d of 150 machines are done, the WAN carried %.3f payloads a site", r.Installed, r.Amplification)
	}
	if r.WastedBytes > 0 || r.DuplicateRatio > 0.005 { // nobody lies and nothing breaks
		t.Errorf("%d bytes were wasted, and %.2f %% came twice", r.WastedBytes, 100*r.DuplicateRatio)
	}
	if w.late > 0 {
		t.Errorf("%d things reached a site after it had gone on", w.late)
	}
	if machine > 44<<10 { // 100,000 of them in 6 GB, with room for the garbage
		t.Errorf("a machine takes %d bytes", machine)
	}
	if chunk > 12 {
		t.Errorf("a chunk takes %.1f allocations", chunk)
	}
	runtime.KeepAlive(w)
}
