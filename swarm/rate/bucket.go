package rate

import "time"

// slack is how much of its rate an idle bucket saves up: enough that a timer which fires late loses
// nothing, and too little to be felt as a burst.
const slack = 50 * time.Millisecond

// Bucket is a token bucket. The zero value lets nothing pass. It is not safe for concurrent use.
type Bucket struct {
	rate Rate
	at   time.Time
	debt float64 // bytes taken and not yet paid by time; negative: saved up
}

// NewBucket makes a bucket without debt.
func NewBucket(now time.Time, r Rate) Bucket { return Bucket{rate: r, at: now} }

// Rate is what was set last.
func (b *Bucket) Rate() Rate { return b.rate }

// Set changes the rate from now on. What is owed stays owed, in bytes.
func (b *Bucket) Set(now time.Time, r Rate) {
	b.pay(now)
	b.rate = r
	if r == Unlimited {
		b.debt = 0
	}
}

// Take uses n bytes on the wire, whether Ready or not.
func (b *Bucket) Take(now time.Time, n int64) {
	if b.rate == Unlimited {
		return
	}
	b.pay(now)
	b.debt += float64(n)
}

// GiveBack returns what was taken and not used.
func (b *Bucket) GiveBack(n int64) {
	if b.rate != Unlimited {
		b.debt -= float64(n)
	}
}

// Ready says whether more may be taken now, else how long that takes at the present rate. At a rate of
// zero nothing may ever be taken: wait is negative.
func (b *Bucket) Ready(now time.Time) (ready bool, wait time.Duration) {
	if b.rate == Unlimited {
		return true, 0
	}
	b.pay(now)
	switch {
	case b.rate == 0:
		return false, -1
	case b.debt <= 0:
		return true, 0
	}
	return false, time.Duration(b.debt/float64(b.rate)*float64(time.Second)) + 1
}

// pay lets time pass. A clock that went back pays nothing and begins anew from there.
func (b *Bucket) pay(now time.Time) {
	if dt := now.Sub(b.at); dt > 0 && b.rate > 0 {
		b.debt -= dt.Seconds() * float64(b.rate)
		b.debt = max(b.debt, -slack.Seconds()*float64(b.rate))
	}
	b.at = now
}
