package policy

import "testing"

func BenchmarkCheckHead(b *testing.B) {
	m := newMesh(b, "acme", 1, 1)
	old := m.trust
	f := m.mustNext(t0, nil)
	for b.Loop() {
		if newer, _, err := old.CheckHead(f.Timestamp, t0); !newer || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenTrust(b *testing.B) {
	f := newMesh(b, "acme", 2, 3).trust.Files()
	for b.Loop() {
		if _, err := OpenTrust(f, t0); err != nil {
			b.Fatal(err)
		}
	}
}
