package transport

// bell wakes the one goroutine that listens to it. Rung again before it was heard it wakes it once.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
