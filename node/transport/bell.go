package transport

// Bell wakes the one goroutine that listens to it. Rung again before it was heard it wakes it once.
type Bell chan struct{}

// NewBell is a bell that nobody has rung.
func NewBell() Bell { return make(Bell, 1) }

func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
