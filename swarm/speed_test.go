package swarm

import (
	"testing"
	"time"
)

// How long the last machine takes, by payload / rate of its line, in a network with lines that are shared as
// TCP shares them. The headers of Ethernet, IP and TCP make 1.048 of it, so this is the floor.
func TestSchedulesComeCloseToTheLine(t *testing.T) {
	for _, c := range []struct {
		name   string
		shape  worldShape
		chunks int
		rate   float64 // bits per second of the line that bounds
		limit  float64
		long   bool
	}{
		{"ten machines and a seed on 50 Mbit/s", worldShape{machines: 10, seedSite: "branch", lanBits: 50e6, wanBits: 50e6}, 512, 50e6, 1.14, false},
		{"24 machines and a seed on 50 Mbit/s", worldShape{machines: 24, seedSite: "branch", lanBits: 50e6, wanBits: 50e6}, 256, 50e6, 1.30, true},
		{"ten machines and a seed on 200 Mbit/s", worldShape{machines: 10, seedSite: "branch", lanBits: 200e6, wanBits: 50e6, chunkBytes: 512 << 10}, 512, 200e6, 1.16, true},
		{"ten machines on 200 Mbit/s behind a WAN of 50", worldShape{machines: 10, lanBits: 200e6, wanBits: 50e6}, 256, 50e6, 1.09, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.long && soak(0, 1) == 0 {
				t.Skip("runs with PATCHMESH_SOAK=1")
			}
			for seed := range uint64(soak(1, 5)) {
				c.shape.seed = seed
				w := newWorldLike(t, c.shape)
				w.publish("u1", c.chunks)
				took := w.everybody("u1", c.shape.machines, 5*time.Minute)
				bytes := float64(c.chunks * w.shape.chunkBytes)
				sent := 0
				for _, n := range w.nodes["seed"].sentChunks {
					sent += n
				}
				got := took.Seconds() / (bytes * 8 / c.rate)
				dup := float64(w.count(duplicates)) / float64(c.chunks*c.shape.machines)
				t.Logf("run %d: %.3f of payload / rate, the seed sent %.3f of the payload, duplicates %.4f, WAN %.3f", seed, got, float64(sent)/float64(c.chunks), dup, float64(w.wanBytes)/bytes)
				if got > c.limit {
					t.Errorf("the last machine took %.3f of payload / rate, limit %.2f", got, c.limit)
				}
				if dup > 0.005 {
					t.Errorf("%.2f %% of the chunks arrived twice", 100*dup)
				}
				if w.nodes["seed"].site != "branch" && float64(w.wanBytes) != bytes {
					t.Errorf("the WAN carried %.4f payloads", float64(w.wanBytes)/bytes)
				}
			}
		})
	}
}
