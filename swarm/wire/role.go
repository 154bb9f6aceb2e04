package wire

// The versions of a Hello: which kinds of messages its sender understands.
const (
	VersionFirst = 1
	VersionRoles = 2 // and Role
)

// Role tells what the sender is to its site: a cache of it. It is sent only to who says VersionRoles or more.
type Role struct{ Cache bool }

// Kind is KindRole.
func (Role) Kind() Kind                     { return KindRole }
func (Role) check() error                   { return nil }
func (r Role) appendBody(dst []byte) []byte { return appendBool(dst, r.Cache) }
func decodeRole(d *decoder) Message         { return Role{Cache: d.bool("cache flag")} }
