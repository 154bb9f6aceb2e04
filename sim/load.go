package sim

// What a machine has in hand for others is said at the end of a run, and whenever it is more than ever by loudStep,
// from loudFrom on: no honest machine gets there. A seed that serves many sites has full slots and a full queue, and
// what is more than that from seedLoudFrom on.
const (
	loudFrom     = 128
	seedLoudFrom = maxLoadWaiting + 1
	loudStep     = 64
)

// weigh says what this machine has in hand if that has grown.
func (m *machine) weigh() {
	from := loudFrom
	if m.seed {
		from = seedLoudFrom
	}
	if n := max(len(m.asks), len(m.refs)); n >= from && n >= m.loud+loudStep {
		m.loud = n
		m.sayLoad(&m.site.say, m.site.now)
	}
}

func (m *machine) sayLoad(j *journal, now int64) {
	j.say(now, "load").str("m", string(m.id)).num("sessions", int64(len(m.sessions))).num("asks", int64(len(m.asks))).
		num("waiting", int64(len(m.refs))).num("queued", int64(len(m.disk.outbox))).end()
}

// load writes down what machines keep in memory for others.
func (w *World) load() {
	if !w.own.on {
		return
	}
	for _, m := range w.machines {
		if m.on() {
			m.sayLoad(&w.own, w.now)
		}
	}
}
