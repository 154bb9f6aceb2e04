package main

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// The advice outlives the room that it was given for: memory that is taken later lies on addresses with it.
func TestMemoryTakenLaterMayLieOnLargePages(t *testing.T) {
	if b, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil || strings.Contains(string(b), "[never]") {
		t.Skip("this kernel gives no large pages")
	}
	useHugePages(256 << 20)
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	advised := false
	for in := bufio.NewScanner(f); in.Scan(); {
		flags, found := strings.CutPrefix(in.Text(), "VmFlags:")
		advised = advised || found && strings.Contains(flags+" ", " hg ")
	}
	if !advised {
		t.Error("no memory of this program has the advice")
	}
}
