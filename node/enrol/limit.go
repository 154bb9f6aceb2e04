package enrol

import (
	"net/netip"
	"sync"
	"time"
)

// Limiter slows down whoever sends requests that fail. A token has 256 bits and is not guessed anyway;
// what is limited is the work that guessing costs the seed, and the noise in its log.
type Limiter struct {
	burst int           // failures that are free
	pause time.Duration // for one more

	mu   sync.Mutex
	debt map[string]time.Time // when the address has paid for all its failures
}

// maxDebtors bounds the addresses that are remembered; an attacker with more is told apart no longer.
const maxDebtors = 4096

// NewLimiter allows burst failures at once and one more every pause.
func NewLimiter(burst int, pause time.Duration) *Limiter {
	return &Limiter{burst: burst, pause: pause, debt: map[string]time.Time{}}
}

// Allow says whether who may send a request now.
func (l *Limiter) Allow(who string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.debt[who]
	return until.Sub(now) < time.Duration(l.burst)*l.pause
}

// Failed books a failure.
func (l *Limiter) Failed(who string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.debt) >= maxDebtors {
		l.forget(now)
	}
	until := l.debt[who]
	if until.Before(now) {
		until = now
	}
	// A clock that was set back must not lock anybody out for as long.
	if most := now.Add(time.Duration(l.burst+1) * l.pause); until.After(most) {
		until = most
	}
	l.debt[who] = until.Add(l.pause)
}

func (l *Limiter) forget(now time.Time) {
	for who, until := range l.debt {
		if !until.After(now) {
			delete(l.debt, who)
		}
	}
	if len(l.debt) >= maxDebtors {
		clear(l.debt)
	}
}

// AddrKey is what an address counts as: itself, or for IPv6 the 64 bits that one line or machine gets,
// since it may take any of the addresses in them.
func AddrKey(hostPort string) string {
	ap, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return "?"
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
