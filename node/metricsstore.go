package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"patchmesh/content/disk"
	"patchmesh/node/api"
	"patchmesh/swarm"
)

// addStore registers the metrics of the store and of where bytes come from.
func (m *metrics) addStore(n *Node) {
	m.tiers = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "patchmesh_payload_received_bytes_total", Help: "Payload bytes that were verified and new, by tier; seed and origin crossed the WAN."}, []string{"tier"})
	m.wastedBytes = prometheus.NewCounter(prometheus.CounterOpts{Name: "patchmesh_payload_wasted_bytes_total", Help: "Payload bytes that did not match their hashes."})
	m.reg.MustRegister(m.tiers, m.wastedBytes)
	for _, t := range []string{api.TierSubnet, api.TierSite, api.TierCache, api.TierMedia, api.TierNeighbour, api.TierSeed, api.TierOrigin} {
		m.tiers.WithLabelValues(t) // zero is a number too: a graph must not begin with the first byte
	}
	for _, fresh := range []string{"true", "false"} {
		m.received.WithLabelValues(fresh)
	}
	counter := func(name, help string, f func() int64) {
		m.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	gauge := func(name, help string, f func() float64) {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	usage := func(name, help string, f func(disk.Usage) int64) {
		gauge(name, help, func() float64 {
			if u := n.keeper.usage.Load(); u != nil {
				return float64(f(*u))
			}
			return 0
		})
	}
	k := &n.keeper
	counter("patchmesh_store_checks_total", "Looks at the store for what has to go.", k.checks.Load)
	counter("patchmesh_store_evictions_total", "Payloads that were evicted.", k.evicted.Load)
	counter("patchmesh_store_eviction_failures_total", "Payloads that had to go and could not be removed.", k.evictFailures.Load)
	counter("patchmesh_store_evicted_bytes_total", "Bytes that were evicted.", k.evictedBytes.Load)
	counter("patchmesh_store_scrubbed_bytes_total", "Bytes in the store that were hashed again.", k.checkedBytes.Load)
	counter("patchmesh_store_damaged_chunks_total", "Chunks that were found damaged and put aside.", k.damaged.Load)
	counter("patchmesh_store_healed_chunks_total", "Damaged chunks that came again.", k.healed.Load)
	usage("patchmesh_store_used_bytes", "What payloads take, as large as they will be.", func(u disk.Usage) int64 { return u.UsedBytes })
	usage("patchmesh_store_quota_bytes", "What payloads may take.", func(u disk.Usage) int64 { return u.QuotaBytes })
	usage("patchmesh_store_free_bytes", "Free bytes of the payloads' file system.", func(u disk.Usage) int64 { return u.FreeBytes })
	usage("patchmesh_store_reserve_bytes", "What payloads leave free.", func(u disk.Usage) int64 { return u.ReserveBytes })
	usage("patchmesh_store_over_bytes", "What has to go and could not yet.", disk.Usage.OverBytes)
	gauge("patchmesh_store_last_check_timestamp_seconds", "When the store was last looked at, which is every 10 s: the heartbeat of its clean-up.", func() float64 { return float64(k.checkedAt.Load()) })
	gauge("patchmesh_store_last_scrub_timestamp_seconds", "When a whole pass of the scrub last ended; 0: never.", func() float64 {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.pace.endedAt.IsZero() {
			return 0
		}
		return float64(k.pace.endedAt.Unix())
	})
	booked := func(name, help string, f func(api.Bytes) int64) {
		counter(name, help, func() int64 {
			if b := k.booked.Load(); b != nil {
				return f(*b)
			}
			return 0
		})
	}
	booked("patchmesh_booked_wan_bytes_total", "Payload bytes that crossed the WAN, by the books, which outlive restarts; on a seed of the whole fleet.", api.Bytes.WAN)
	booked("patchmesh_booked_saved_bytes_total", "Payload bytes that would have crossed the WAN without the mesh, by the same books.", api.Bytes.Saved)
	m.addView(n)
}

// addView registers what is read from the core's view.
func (m *metrics) addView(n *Node) {
	gauge := func(name, help string, f func(*swarm.View) int) {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f(n.view.Load())) }))
	}
	gauge("patchmesh_store_payloads", "Payloads in the store.", func(v *swarm.View) int { return len(v.Store) })
	gauge("patchmesh_absent_machines", "Machines of the site that are away and not yet forgotten.", func(v *swarm.View) int { return len(v.Absent) })
	gauge("patchmesh_shunned_peers", "Connected peers that are not asked for chunks.", func(v *swarm.View) int {
		k := 0
		for _, p := range v.Peers {
			if p.Shunned {
				k++
			}
		}
		return k
	})
	gauge("patchmesh_wan_leases_held", "Payloads that this machine fetches over the WAN for its site.", func(v *swarm.View) int {
		k := 0
		for _, p := range v.Payloads {
			if p.Leased {
				k++
			}
		}
		return k
	})
	m.reg.MustRegister(taskCollector{n})
}

// taskCollector counts the updates on this machine by their state.
type taskCollector struct{ n *Node }

var taskDesc = prometheus.NewDesc("patchmesh_updates", "Updates on this machine, by state.", []string{"state"}, nil)

// Describe implements prometheus.Collector.
func (taskCollector) Describe(ch chan<- *prometheus.Desc) { ch <- taskDesc }

// Collect implements prometheus.Collector.
func (c taskCollector) Collect(ch chan<- prometheus.Metric) {
	states := map[string]int{}
	for _, k := range c.n.view.Load().Tasks {
		states[k.State.String()]++
	}
	for s, k := range states {
		ch <- prometheus.MustNewConstMetric(taskDesc, prometheus.GaugeValue, float64(k), s)
	}
}
