package sim

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// entries counts all elements of slices and maps that a core keeps, however deep, each once.
func entries(v reflect.Value, seen map[uintptr]bool) int {
	n := 0
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() || v.Kind() == reflect.Pointer && (seen[v.Pointer()] || !strings.HasPrefix(v.Type().Elem().PkgPath(), "patchmesh/")) {
			return 0
		}
		if v.Kind() == reflect.Pointer {
			seen[v.Pointer()] = true
		}
		return entries(v.Elem(), seen)
	case reflect.Struct:
		for i := range v.NumField() {
			n += entries(v.Field(i), seen)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice {
			n += v.Len()
		}
		switch v.Type().Elem().Kind() {
		case reflect.Struct, reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
			for i := range v.Len() {
				n += entries(v.Index(i), seen)
			}
		}
	case reflect.Map:
		n += v.Len()
		for it := v.MapRange(); it.Next(); {
			n += entries(it.Value(), seen)
		}
	}
	return n
}

// What a core keeps follows from the machines and updates there are, and not from how long they have come and gone:
// ten times as much churn leaves no more of it behind.
func TestCoresDoNotGrowWithTime(t *testing.T) {
	of := func(minutes int) int {
		sc, err := ParseScenario("growth", fmt.Sprintf(`
			title growth
			site s machines=10 egress=3 caches=1 wan=20Mbit/s lan=1Gbit/s delay=10ms
			update u1 size=2MiB chunk=128KiB
			at 10s approve u1
			fault churn from=0s until=%dm share=20%% every=10s lasts=2s..20s
			fault partition from=0s until=%dm times=%d lasts=2s..40s`, minutes, minutes, minutes))
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWorld(sc, Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		w.run(nil, nil)
		most := 0
		for _, m := range w.machines {
			if m.core != nil {
				most = max(most, entries(reflect.ValueOf(m.core), map[uintptr]bool{}))
			}
		}
		t.Logf("%d minutes: at most %d entries", minutes, most)
		return most
	}
	short, long := of(soak(3, 10)), of(soak(30, 600))
	if short < 100 || float64(long) > 1.3*float64(short) {
		t.Errorf("a core keeps %d entries, after ten times as long %d", short, long)
	}
}
