package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"patchmesh/swarm/rate"
)

// traffic registers what is read of limits, budget and gates when somebody asks.
func (m *metrics) traffic(n *Node) {
	m.reg.MustRegister(trafficCollector{n})
}

type trafficCollector struct{ n *Node }

var (
	limitDesc  = prometheus.NewDesc("patchmesh_limit_bytes_per_second", "Rate that holds now; absent without limit.", []string{"class", "dir"}, nil)
	waitedDesc = prometheus.NewDesc("patchmesh_limit_waited_seconds_total", "Time that chunks have waited for the rate.", []string{"class", "dir"}, nil)
	spentDesc  = prometheus.NewDesc("patchmesh_wan_budget_used_bytes", "Payload bytes that the site has taken from the WAN.", []string{"period"}, nil)
	budgetDesc = prometheus.NewDesc("patchmesh_wan_budget_bytes", "What the site may take; absent without budget.", []string{"period"}, nil)
	gateDesc   = prometheus.NewDesc("patchmesh_gate_closed", "1 for what this machine does not do at present.", []string{"what", "reason"}, nil)
	yieldDesc  = prometheus.NewDesc("patchmesh_yielding", "1 while background fetching over the WAN gives way to other traffic.", nil, nil)
	hostDesc   = prometheus.NewDesc("patchmesh_origin_bytes_total", "Bytes that a web host gave.", []string{"host"}, nil)
	failDesc   = prometheus.NewDesc("patchmesh_origin_failures_total", "Requests that a web host failed.", []string{"host"}, nil)
)

// Describe implements prometheus.Collector: nothing is known before it is read.
func (trafficCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (t trafficCollector) Collect(out chan<- prometheus.Metric) {
	n := t.n
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	now := n.cfg.Now()
	for c := range rate.Classes {
		for d := range rate.Directions {
			if r := n.limits.at(c, d, now).rate; r != rate.Unlimited {
				gauge(limitDesc, float64(r), c.String(), d.String())
			}
			counter(waitedDesc, n.limits.pace[c][d].Waited().Seconds(), c.String(), d.String())
		}
	}
	info := n.traffic(n.view.Load())
	if b := info.Budget; b != nil {
		gauge(spentDesc, float64(b.DayBytes), "day")
		gauge(spentDesc, float64(b.MonthBytes), "month")
		if b.DayLimit > 0 {
			gauge(budgetDesc, float64(b.DayLimit), "day")
		}
		if b.MonthLimit > 0 {
			gauge(budgetDesc, float64(b.MonthLimit), "month")
		}
	}
	for _, g := range info.Gates {
		gauge(gateDesc, 1, g.What, g.Reason)
	}
	yielding := 0.
	if info.Yielding {
		yielding = 1
	}
	gauge(yieldDesc, yielding)
	for _, h := range info.Origin {
		counter(hostDesc, float64(h.Bytes), h.Host)
		counter(failDesc, float64(h.Failed), h.Host)
	}
}
