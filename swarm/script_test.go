package swarm_test

import (
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/swarm/swarmtest"
)

// TestScripts plays the stories in testdata. After a change that is meant: go test ./swarm -rewrite,
// then read the diff.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { swarmtest.Run(t, path) })
	}
}
