package rate

import "fmt"

// Class says whom bytes are exchanged with.
type Class uint8

// The classes of links.
const (
	LAN  Class = iota // machines of the own site
	Site              // machines of other sites
	WAN               // seeds of other sites, web hosts
	Classes
)

// Direction is seen from this machine.
type Direction uint8

// The directions.
const (
	Down Direction = iota // received
	Up                    // sent
	Directions
)

var classNames = [Classes]string{"lan", "site", "wan"}
var directionNames = [Directions]string{"down", "up"}

// String is the name that people use: lan, site, wan.
func (c Class) String() string {
	if c < Classes {
		return classNames[c]
	}
	return fmt.Sprintf("class-%d", uint8(c))
}

// String is the name that people use: down, up.
func (d Direction) String() string {
	if d < Directions {
		return directionNames[d]
	}
	return fmt.Sprintf("direction-%d", uint8(d))
}

// Rate is bytes per second on the wire. Zero lets nothing pass.
type Rate int64

// Unlimited is no limit.
const Unlimited Rate = -1

// MaxRate bounds what is taken as a limit: 1 Tbit/s.
const MaxRate Rate = 1e12 / 8

// perMilleOnWire is what the headers of Ethernet, IP and TCP (4.6 %) and of TLS and the framing of chunks
// (0.2 %) add to payload bytes in full packets.
const perMilleOnWire = 48

// OnWire is how many bytes n payload bytes take on the wire.
func OnWire(n int64) int64 { return n + n*perMilleOnWire/1000 }
