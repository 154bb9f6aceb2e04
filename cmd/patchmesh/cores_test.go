package main

import (
	"testing"
	"time"
)

// A node that is busy, or whose one core hangs in the disk, gets more; one that has nothing to do gives them back.
func TestCoresFollowTheWork(t *testing.T) {
	now := time.Unix(1000, 0)
	p := pace{cores: 1, most: 8}
	for i, c := range []struct {
		busy, late float64
		after      time.Duration
		want       int
	}{
		{0.2, 0, 0, 1},   // little to do
		{0.9, 0, 0, 2},   // one core is busy
		{1.9, 0, 0, 4},   // both are
		{3.9, 0, 0, 8},   //
		{8, 0, 0, 8},     // there are no more
		{3, 0, 0, 8},     // between the marks nothing changes
		{0.3, 0, 0, 4},   // little to do: fewer, step by step
		{0.3, 0, 0, 2},   //
		{0.3, 0, 0, 1},   //
		{0, 0, 0, 1},     // never none
		{0.1, 0.5, 0, 1}, // somebody else has the processor for a moment
		{0.1, 0, 0, 1},
		{0.1, 0.5, 0, 1}, // what could go on waits for a core that hangs,
		{0.1, 0.5, 0, 1},
		{0.1, 0.5, 0, 2},         // again and again
		{0.1, 0, coresKept, 2},   // the disk is as slow as before
		{0.1, 0, time.Second, 1}, // and has not been for long
	} {
		now = now.Add(c.after)
		if got := p.next(c.busy, c.late, now); got != c.want {
			t.Fatalf("step %d: %d cores, want %d", i, got, c.want)
		}
	}
	one := pace{cores: 1, most: 1}
	if got := one.next(1, 1, now); got != 1 {
		t.Errorf("%d cores of one", got)
	}
}

func TestProcessorTimeOfThisProcessIsKnown(t *testing.T) {
	for end := time.Now().Add(time.Minute); cpuTime() == 0; {
		if time.Now().After(end) {
			t.Fatal("a process that works has used no processor time")
		}
	}
}
