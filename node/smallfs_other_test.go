//go:build !linux

package node

import "testing"

func smallFS(t *testing.T) string {
	t.Helper()
	t.Skip("no small file system can be made here")
	return ""
}
