package enrol

import "testing"

func pipe(t *testing.T, _ string) { t.Skip("no such files there") }
