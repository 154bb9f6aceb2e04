package sim

import (
	"errors"
	"time"
)

// planFullDisk: some machines have no room for another chunk. Words: share, and times.
func planFullDisk(w *World, a args) error {
	share := exactly(0.1)
	t, err := a.times(15 * time.Second)
	if err = errors.Join(err, a.value("share", &share, parseShare)); err != nil {
		return err
	}
	w.eachTime(t, func() func() {
		victims := w.pick(w.some(share.draw(w.rng)), func(m *machine) bool { return !m.disk.full })
		for _, m := range victims {
			m.disk.full = true
		}
		return func() {
			for _, m := range victims {
				m.disk.full = false
			}
		}
	})
	return nil
}

// planRot: chunks on some disks change by themselves. Words: share, chunks, and times without lasts. It
// spares machines that may use the WAN: nobody tells a machine that its published copy has changed, so
// where the only way to the WAN is such a machine, its site waits until somebody verifies its store.
func planRot(w *World, a args) error {
	share, chunks := exactly(0.1), value{low: 1, high: 3}
	t, err := a.times(time.Second)
	if err = errors.Join(err, a.value("share", &share, parseShare), a.value("chunks", &chunks, parseNumber)); err != nil {
		return err
	}
	w.eachTime(t, func() func() {
		for _, m := range w.pick(w.some(share.draw(w.rng)), func(m *machine) bool { return !m.egress }) {
			for _, f := range m.disk.files {
				if f == nil || f.have.Count() == 0 {
					continue
				}
				for range chunks.drawInt(w.rng) {
					f.spoil(w.rng.IntN(f.have.Len()))
				}
				w.sayFault("rot", string(m.id))
			}
		}
		return nil
	})
	return nil
}
