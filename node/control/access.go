package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"

	"patchmesh/node/api"
)

// Access says who may use the local API besides root and the user of the node, who may do everything.
// The zero value: nobody.
type Access struct {
	// Admins is a group whose members may do everything, by number as text. Empty: no group.
	Admins string
	// Status says who may ask questions: StatusOwner (or empty), StatusGroup, StatusAll.
	Status string
}

// Who may ask questions.
const (
	StatusOwner = "owner" // who may do everything
	StatusGroup = "group" // the group of admins too; the same as owner without one
	StatusAll   = "all"   // every user of this machine
)

func (a Access) group() int {
	n, err := strconv.Atoi(a.Admins)
	if err != nil {
		return -1
	}
	return n
}

func (a Access) adminMode() os.FileMode {
	if a.group() >= 0 {
		return 0o660
	}
	return 0o600
}

func (a Access) statusMode() os.FileMode {
	switch {
	case a.Status == StatusAll:
		return 0o666
	case a.Status == StatusGroup && a.group() >= 0:
		return 0o660
	}
	return 0o600
}

// allows decides by what the kernel said of the caller.
func (a Access) allows(c api.Caller, admin bool) bool {
	switch {
	case c.UID == 0 || c.UID == os.Geteuid():
		return true
	case !admin && a.Status == StatusAll:
		return true
	case !admin && a.Status != StatusGroup:
		return false
	}
	return a.group() >= 0 && inGroup(c, a.group())
}

// inGroup: the caller's own group, or one that the user is listed in.
func inGroup(c api.Caller, group int) bool {
	if c.GID == group {
		return true
	}
	u, err := user.LookupId(strconv.Itoa(c.UID))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.Itoa(group))
}

// door stands before one socket: it knows who is at the other end of every connection, and turns away
// those without the right.
type door struct {
	cfg   Config
	admin bool
	next  http.Handler
}

type callerKey struct{}

// met is what was found out about a connection.
type met struct {
	who     api.Caller
	allowed bool
}

// meet looks at a new connection before a byte of it is read.
func (d *door) meet(ctx context.Context, c net.Conn) context.Context {
	m := met{}
	who, err := api.Caller{}, api.ErrNoCaller
	if d.cfg.Who != nil {
		who, err = d.cfg.Who(c)
	}
	log := d.cfg.Log.With("socket", map[bool]string{true: adminSocket, false: statusSocket}[d.admin])
	switch {
	case errors.Is(err, api.ErrNoCaller):
		// The folder alone guards the socket on such a system: nobody else was let near it.
		m.allowed = d.cfg.Access == Access{}
		log.Debug("local caller, not known by name", "allowed", m.allowed)
	case err != nil:
		log.Warn("local caller refused: nobody knows who it is", "err", err)
	default:
		m.who, m.allowed = who, d.cfg.Access.allows(who, d.admin)
		say := log.Debug // questions are asked all the time
		if d.admin {
			say = log.Info
		}
		if !m.allowed {
			say = log.Warn
		}
		say("local caller", "caller", who.String(), "allowed", m.allowed)
	}
	return context.WithValue(ctx, callerKey{}, m)
}

// ServeHTTP answers who has the right, and nobody else.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, _ := r.Context().Value(callerKey{}).(met)
	if !m.allowed {
		w.Header().Set("Connection", "close") // what it still wants to send is not read
		answer(w, nil, noRight(m.who.UID, d.admin))
		return
	}
	if m.who != (api.Caller{}) {
		r = r.WithContext(api.WithCaller(r.Context(), m.who))
	}
	d.next.ServeHTTP(w, r)
}

func noRight(uid int, admin bool) error {
	if admin {
		return api.Errorf(api.ClassRefused, "user %d may not give orders to this node", uid).
			WithHint("run the command as root, as the user who runs patchmesh, or as a member of its group of admins")
	}
	return api.Errorf(api.ClassRefused, "user %d may not ask this node", uid).
		WithHint("run the command as root or as the user who runs patchmesh; 'patchmesh run --status-for all' opens the status to everybody")
}

// readOnly lists the routes that change nothing: all that the status socket answers. What is not
// listed is for admins.
var readOnly = []string{
	"/status", "/explain", "/node", "/trust", "/log/approval", "/windows", "/rings", "/evidence", "/policy", "/store", "/provenance", "/bytes", "/ledger", "/log/events", "/log/syncs",
	"/inventory", "/groups", "/notices", "/baselines", "/holds", "/catalogue",
}

// questions lets nothing through that could change something.
func questions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(readOnly, r.URL.Path) {
			answer(w, nil, api.Errorf(api.ClassRefused, "this socket only answers questions").WithHint("orders go to %s", adminSocket))
			return
		}
		next.ServeHTTP(w, r)
	})
}
