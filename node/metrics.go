package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"patchmesh/node/api"
)

// metrics are the node's own counters; gauges are read from the view when asked for.
type metrics struct {
	reg       *prometheus.Registry
	received  *prometheus.CounterVec
	sentBytes prometheus.Counter
	refusals  *prometheus.CounterVec
	notes     *prometheus.CounterVec

	tiers       *prometheus.CounterVec
	wastedBytes prometheus.Counter
}

func newMetrics(n *Node) *metrics {
	m := &metrics{
		reg:       prometheus.NewRegistry(),
		received:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "patchmesh_chunk_received_bytes_total", Help: "Payload bytes received and verified."}, []string{"fresh"}),
		sentBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "patchmesh_chunk_sent_bytes_total", Help: "Payload bytes served to peers."}),
		refusals:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "patchmesh_refused_total", Help: "Hostile or broken input turned away, by reason."}, []string{"reason"}),
		notes:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "patchmesh_notes_total", Help: "What the core has said, by kind."}, []string{"kind"}),
	}
	m.reg.MustRegister(m.received, m.sentBytes, m.refusals, m.notes)
	m.addStore(n)
	prometheus.WrapRegistererWithPrefix("patchmesh_", m.reg).MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, f func() float64) {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("patchmesh_epoch", "Epoch of the trusted manifest.", func() float64 { return float64(n.believer.current().Epoch()) })
	gauge("patchmesh_peers", "Open sessions with peers.", func() float64 { return float64(len(n.host.Peers())) })
	gauge("patchmesh_manifest_expiry_seconds", "Time until the approvals expire.", func() float64 {
		return n.believer.current().ExpiresAt().Sub(n.cfg.Now()).Seconds()
	})
	gauge("patchmesh_wan_payload_bytes", "Payload bytes that this machine fetched over the WAN.", func() float64 {
		var sum int64
		for _, p := range n.view.Load().Payloads {
			sum += p.Seed + p.Origin
		}
		return float64(sum)
	})
	gauge("patchmesh_report_left_out_updates", "Updates that the last report of this machine had no room for.", func() float64 { return float64(n.leftOut.Load()) })
	gauge("patchmesh_attention", "Updates that wait for approvers: held by a seed's brake, or halted and not held.", func() float64 { return float64(len(n.attentions())) })
	m.traffic(n)
	return m
}

func (m *metrics) chunk(bytes int, fresh bool) {
	m.received.WithLabelValues(fmt.Sprint(fresh)).Add(float64(bytes))
}
func (m *metrics) tier(tier string, bytes int, fresh bool) {
	if fresh {
		m.tiers.WithLabelValues(tier).Add(float64(bytes))
	}
}
func (m *metrics) wasted(bytes int)      { m.wastedBytes.Add(float64(bytes)) }
func (m *metrics) sent(bytes int64)      { m.sentBytes.Add(float64(bytes)) }
func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }
func (m *metrics) note(kind string)      { m.notes.WithLabelValues(kind).Inc() }

// serveMetrics answers /metrics on its own address until ctx ends.
func (n *Node) serveMetrics(ctx context.Context) error {
	if n.cfg.Metrics == "" {
		return nil
	}
	ln, err := net.Listen("tcp", n.cfg.Metrics)
	if err != nil {
		return api.Errorf(api.ClassFailed, "metrics cannot be served at %s: %v", n.cfg.Metrics, err).
			WithHint("another program may have the port: choose another one with --metrics HOST:PORT, or leave it out")
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics.reg, promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	n.work(func() {
		<-ctx.Done()
		_ = srv.Close()
	})
	n.work(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("metrics stopped", "err", err)
		}
	})
	return nil
}
