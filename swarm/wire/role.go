package wire

import "fmt"

// The versions of a Hello: which kinds of messages its sender understands.
const (
	VersionFirst  = 1
	VersionRoles  = 2 // and Role, which says nothing but Cache
	VersionLinks  = 3 // and all of Role
	VersionPacked = 4 // and reports whose body is packed
)

// Role tells what the sender is to its site: a cache of it, a machine on Wi-Fi. It is sent only to who says VersionRoles
// or more, and with WiFi only to who says VersionLinks or more.
type Role struct{ Cache, WiFi bool }

// The bits of a Role.
const (
	roleCache byte = 1 << iota
	roleWiFi
	roleUnknown
)

// Kind is KindRole.
func (Role) Kind() Kind   { return KindRole }
func (Role) check() error { return nil }
func (r Role) appendBody(dst []byte) []byte {
	var b byte
	if r.Cache {
		b |= roleCache
	}
	if r.WiFi {
		b |= roleWiFi
	}
	return append(dst, b)
}

func decodeRole(d *decoder) Message {
	b := d.take(1, "role flags")
	if len(b) != 1 {
		return Role{}
	}
	if b[0] >= roleUnknown {
		d.fail(fmt.Sprintf("role flags %#x", b[0]), ErrFormat)
		return Role{}
	}
	return Role{Cache: b[0]&roleCache != 0, WiFi: b[0]&roleWiFi != 0}
}
