package sim

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func soak(short, full int) int {
	if os.Getenv("PATCHMESH_SOAK") != "" {
		return full
	}
	return short
}

func TestTry(t *testing.T) {
	name := os.Getenv("SC")
	if name == "" {
		name = "shop-5"
	}
	sc, err := OpenScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := strconv.Atoi(os.Getenv("SEED"))
	runs, _ := strconv.Atoi(os.Getenv("RUNS"))
	var f *os.File
	if p := os.Getenv("TR"); p != "" {
		f, _ = os.Create(p)
		defer f.Close()
	}
	for i := range max(runs, 1) {
		begin := time.Now()
		o := Options{Seed: uint64(seed + i), Check: os.Getenv("NOCHECK") == ""}
		if f != nil {
			o.Trace = func(b []byte) { f.Write(b); f.Write([]byte("\n")) }
		}
		r, err := Run(sc, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d: %d machines, installed %d failed %d, wan %.3f dup %.4f first %.2f last %.2f lower %.2f virtual %.0f %s lines %d hash %s took %v", r.Seed, r.Machines, r.Installed, r.Failed, r.Amplification, r.DuplicateRatio, r.FirstInstalled, r.LastInstalled, r.LowerBound, r.Virtual, r.Ended, r.TraceLines, r.TraceHash, time.Since(begin))
		for i, v := range r.Violations {
			if i < 5 {
				t.Errorf("%v", v)
			}
		}
	}
}
