package api

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"patchmesh/content"
	"patchmesh/policy"
)

// What ends in "malformed document" says what to do about it, unless whoever says it knows better.
func TestWhatCannotBeReadHasANextStep(t *testing.T) {
	for _, cause := range []error{policy.ErrFormat, fmt.Errorf("draft of 3 bytes: %w", policy.ErrFormat), content.ErrFormat, errors.Join(io.EOF, content.ErrFormat)} {
		if e := Errorf(ClassUsage, "read %s: %v", "a.json", cause); e.Hint != formatHint || e.Class != ClassUsage {
			t.Errorf("%v: %+v", cause, e)
		}
	}
	if e := Errorf(ClassUsage, "%v", policy.ErrFormat).WithHint("use %s", "x"); e.Hint != "use x" {
		t.Errorf("%+v", e)
	}
	if e := Errorf(ClassFailed, "%v of %s", io.EOF, "malformed document"); e.Hint != "" {
		t.Errorf("%+v", e)
	}
}
