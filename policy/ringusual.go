package policy

// RingSaid is what somebody who makes a ring has said of it, be it that it asks for nothing.
type RingSaid struct {
	Success bool // when the next ring opens
	Failure bool // when everything stops
}

// The conditions of a ring that names none. A ring without conditions is none: the next one would open before the
// first machine has tried. They are written into the plan that approvers sign when it is made, so that a plan that was
// signed without them goes on to mean what it says.
const (
	UsualSuccessPercent = 95
	UsualFailCount      = 1
)

// Usual completes a ring with what was not said.
func (r Ring) Usual(said RingSaid) Ring {
	if !said.Success && r.SuccessPercent == 0 && r.SuccessCount == 0 && !r.Manual {
		r.SuccessPercent = UsualSuccessPercent
	}
	if !said.Failure && r.FailPercent == 0 && r.FailCount == 0 {
		r.FailCount = UsualFailCount
	}
	return r
}
