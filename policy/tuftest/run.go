package tuftest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// Client is a client under test with a metadata folder and a folder for targets of its own.
type Client interface {
	// Init begins with a root.
	Init(root []byte) error
	// Refresh updates the top-level metadata as if the clock showed at.
	Refresh(at time.Time) error
	// Download fetches targets in order, in one go; it ends with the first that fails.
	Download(at time.Time, names ...string) error
	// Role is the trusted file of a top-level role, nil if there is none. Other roles may be called
	// anything.
	Role(name string) []byte
	// Roles counts the trusted files.
	Roles() int
	// Targets are the contents of the kept targets, in any order.
	Targets() []string
}

// X is one case under way.
type X struct {
	*testing.T
	*Repo
	Client Client
}

// Case is one case of the suite.
type Case struct {
	Name string
	Run  func(*X)
}

// Cases is the whole suite.
func Cases() []Case {
	return slices.Concat(basicCases(), expiryCases(), keyCases(), rollbackCases(), delegationCases(), downloadCases(), rotationCases(), furtherCases(), hostileCases())
}

// Run runs every case against clients that start makes. They must take keys of every kind.
func Run(t *testing.T, start func(*testing.T, *Repo) Client) int {
	cases := Cases()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			r := NewRepo()
			c.Run(&X{T: t, Repo: r, Client: start(t, r)})
		})
	}
	return len(cases)
}

// init begins with the first root.
func (x *X) init() {
	x.Helper()
	if err := x.Client.Init(x.Version("root", 1)); err != nil {
		x.Fatalf("init: %v", err)
	}
	x.Asked()
}

func (x *X) ok() {
	x.Helper()
	if err := x.Client.Refresh(Start); err != nil {
		x.Fatalf("refresh: %v", err)
	}
}

func (x *X) refused() {
	x.Helper()
	if err := x.Client.Refresh(Start); err == nil {
		x.Fatal("refresh: taken, want a refusal")
	}
}

func (x *X) got(names ...string) {
	x.Helper()
	if err := x.Client.Download(Start, names...); err != nil {
		x.Fatalf("download %q: %v", names, err)
	}
}

func (x *X) notGot(names ...string) {
	x.Helper()
	if err := x.Client.Download(Start, names...); err == nil {
		x.Fatalf("download %q: taken, want a refusal", names)
	}
}

// kept checks the contents of the kept targets.
func (x *X) kept(want ...string) {
	x.Helper()
	have := x.Client.Targets()
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		x.Fatalf("targets kept: %q, want %q", have, want)
	}
}

// trusts checks the versions of root, timestamp, snapshot and targets; 0 is none.
func (x *X) trusts(root, timestamp, snapshot, targets int) {
	x.Helper()
	for role, want := range map[string]int{"root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets} {
		if got := x.trusted(role); got != want {
			x.Errorf("trusted %s is version %d, want %d", role, got, want)
		}
	}
	if x.Failed() {
		x.FailNow()
	}
}

func (x *X) trusted(role string) int {
	x.Helper()
	b := x.Client.Role(role)
	if b == nil {
		return 0
	}
	var d struct{ Signed struct{ Version int } }
	if err := json.Unmarshal(b, &d); err != nil {
		x.Fatalf("trusted %s: %v", role, err)
	}
	return d.Signed.Version
}

// same checks that the trusted file is the published one, to the byte.
func (x *X) same(role string) {
	x.Helper()
	if string(x.Client.Role(role)) != string(x.Newest(role)) {
		x.Fatalf("trusted %s is not what was published", role)
	}
}

// asks checks what was asked for since the last look.
func (x *X) asks(want ...string) {
	x.Helper()
	if got := x.Asked(); !slices.Equal(got, want) {
		x.Fatalf("asked for %s, want %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

func (x *X) lastAsked(want string) {
	x.Helper()
	if got := x.Asked(); len(got) == 0 || got[len(got)-1] != want {
		x.Fatalf("asked for %s, want %s last", strings.Join(got, ", "), want)
	}
}
