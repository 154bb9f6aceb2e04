package sim

import "time"

// processor is what hashes. As a rule every machine has one of its own. Where many machines are processes on
// one computer, as in a lab, they share its cores, and what they do at the same time takes longer.
type processor struct {
	cores float64 // 0: each machine has its own
	free  int64   // when all that was asked of it is done
}

// hashRate is how many bytes a second one core reads from disk, hashes and writes again.
const hashRate = 500e6

// hashing is how long this machine needs now to hash a whole payload.
func (m *machine) hashing(u *update) time.Duration {
	work := 5*time.Millisecond + time.Duration(float64(u.info.StoredBytes)/hashRate*1e9)
	cpu := &m.site.cpu
	if cpu.cores == 0 {
		return work
	}
	from := max(cpu.free, m.site.now)
	cpu.free = from + int64(float64(work)/cpu.cores)
	return max(work, time.Duration(cpu.free-m.site.now))
}
