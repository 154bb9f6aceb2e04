package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/enrol"
	"patchmesh/node/inventory"
	"patchmesh/node/peercred"
	"patchmesh/node/restart"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
)

// The apply role as a process of its own. Its state folder belongs to root:
//
//	machine.json   who this machine is, from enrolment
//	trust/         its own copy of the trusted documents; floors never go back, nor does the clock's
//	shelf/         staged descriptors and payloads
//	work/          where installers stage what they install
//	journal        what began and how it ended

// Where the apply process keeps its state and answers, unless told otherwise.
const (
	DefaultApplyState  = "/var/lib/patchmesh-apply"
	DefaultApplySocket = "/run/patchmesh-apply/apply.sock"
)

// ApplyConfig says how the apply process runs.
type ApplyConfig struct {
	StateDir string
	Socket   string
	Root     string // folder that stands for "/"; empty: this system
	UID      int    // the user of the net role
	GID      int    // the group that may open the socket; negative: the owner alone
	Log      *slog.Logger
	Now      func() time.Time
	Version  string // of this program
	// RestartWith restarts the machine. Nil: the system's own commands.
	RestartWith restart.Run
	// GoingDown says whether the machine is being shut down. Nil: its service manager is asked.
	GoingDown func(context.Context) bool
	// Agent is what the launcher has said of this process. Zero: none has started it.
	Agent AgentRun
}

// ApplyInit is what PrepareApply did.
type ApplyInit struct {
	StateDir    string   `json:"state_dir"`
	Org         string   `json:"org"`
	Fingerprint string   `json:"root_fingerprint"`
	Machine     string   `json:"machine"`
	Site        string   `json:"site"`
	Groups      []string `json:"groups"`
	Epoch       uint64   `json:"epoch"`
	Unchanged   bool     `json:"unchanged,omitempty"` // it was prepared before
}

// PrepareApply gives the apply role its own copy of what an enrolled machine trusts and is. It is run
// by root, once, right after enrolment: from then on nothing in the data folder is believed. A folder
// that is prepared already keeps its documents, so that they cannot be rolled back by preparing it
// again; with again, the facts of the machine are taken anew, for one that was enrolled anew.
func PrepareApply(stateDir, dataDir string, again bool, now func() time.Time) (*ApplyInit, error) {
	if runtime.GOOS == "windows" {
		return nil, errNoApplyProcess()
	}
	if i, err := preparedBefore(stateDir, dataDir, again, now); i != nil || err != nil {
		return i, err
	}
	f, err := waitFolder(dataDir, now, 5*time.Second)
	if errors.Is(err, ErrLocked) {
		return nil, api.Errorf(api.ClassFailed, "a node is running on %s", dataDir).WithHint("stop it while the apply role is prepared")
	}
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := apply.Private(stateDir); err != nil {
		return nil, api.Errorf(api.ClassFailed, "state folder of the apply role: %v", err).WithHint("it must belong to this user alone")
	}
	have, err := apply.LoadEnrolment(machineFile(stateDir))
	known := err == nil
	if err != nil && !errors.Is(err, apply.ErrNotEnrolled) {
		return nil, err
	}
	own, err := ownTrust(stateDir, f.believer.current(), known, now)
	if err != nil {
		return nil, err
	}
	e, err := enrolmentOf(f, own)
	if err != nil {
		return nil, err
	}
	if known {
		if e, err = knownMachine(have, e, again); err != nil {
			return nil, err
		}
	}
	if !known || again { // last: what makes the folder an enrolled one's
		if err := e.Save(machineFile(stateDir)); err != nil {
			return nil, err
		}
	}
	return &ApplyInit{
		StateDir: stateDir, Org: e.Org, Fingerprint: e.Root, Machine: e.Name, Site: e.Site, Groups: nonNil(e.Groups),
		Epoch: own.Epoch(), Unchanged: known && !again,
	}, nil
}

// preparedBefore answers for a data folder that has been given to the node's user: nothing is taken from there, and what
// the role has from before stays. Both nil: the folder is root's still.
func preparedBefore(stateDir, dataDir string, again bool, now func() time.Time) (*ApplyInit, error) {
	refused := mustBeRoots(dataDir)
	if refused == nil {
		return nil, nil
	}
	e, err := apply.LoadEnrolment(machineFile(stateDir))
	if err != nil || again {
		return nil, refused
	}
	own, err := ownTrust(stateDir, nil, true, now)
	if err != nil {
		return nil, err
	}
	return &ApplyInit{
		StateDir: stateDir, Org: e.Org, Fingerprint: e.Root, Machine: e.Name, Site: e.Site, Groups: nonNil(e.Groups), Epoch: own.Epoch(), Unchanged: true,
	}, nil
}

// enrolmentOf reads who the machine is from its membership certificate, which the enrolment key has
// signed: what else the data folder says of it could have been written by whoever owns the folder.
// That the certificate has expired meanwhile does not make the machine another one.
func enrolmentOf(f *folder, t *policy.Trust) (apply.Enrolment, error) {
	keys, err := rosterKeys(t.Roster())
	if err != nil {
		return apply.Enrolment{}, err
	}
	c, err := enrol.Check(f.member.Cert, keys, f.id, f.now())
	if err != nil && !errors.Is(err, enrol.ErrExpired) {
		return apply.Enrolment{}, api.Errorf(api.ClassRefused, "the membership certificate in %s cannot be believed: %v", f.dir, err).
			WithHint("enrol this machine again with a new token")
	}
	if c.Org != t.Org() {
		return apply.Enrolment{}, api.Errorf(api.ClassRefused, "the membership certificate is of %q, the approvals of %q", api.Clean(c.Org), api.Clean(t.Org()))
	}
	return apply.Enrolment{Org: c.Org, ID: f.id, Name: c.Name, Site: c.Site, Groups: c.Groups, Root: content.Sum(t.Files().Root).String()}, nil
}

func machineFile(stateDir string) string { return filepath.Join(stateDir, "machine.json") }

// knownMachine compares what the apply role knows with what the data folder says.
func knownMachine(have, now apply.Enrolment, again bool) (apply.Enrolment, error) {
	if have.Org != now.Org {
		return have, api.Errorf(api.ClassRefused, "the apply role belongs to %q, the data folder to %q", api.Clean(have.Org), api.Clean(now.Org)).
			WithHint("empty the state folder of the apply role only if this machine really has changed hands")
	}
	now.Root = have.Root // what was pinned first stays on record
	same := have.ID == now.ID && have.Name == now.Name && have.Site == now.Site && fmt.Sprint(have.Groups) == fmt.Sprint(now.Groups)
	if same || again {
		return now, nil
	}
	return have, api.Errorf(api.ClassRefused, "the apply role knows this machine as %s, site %s, groups %v; the data folder says %s, %s, %v",
		have.Name, have.Site, have.Groups, now.Name, now.Site, now.Groups).
		WithHint("if it was enrolled anew, repeat with --enrolled-anew")
}

// ownTrust opens the apply role's documents, or begins them with those of the data folder. A role that
// had some once does not begin again: they are gone, and what the data folder has may be older.
func ownTrust(stateDir string, t *policy.Trust, known bool, now func() time.Time) (*policy.Trust, error) {
	dir, err := trustdir.Open(filepath.Join(stateDir, "trust"))
	if err != nil {
		return nil, err
	}
	kept := keptTrust{dir}
	if _, err := dir.Load(); errors.Is(err, trustdir.ErrEmpty) && !known {
		return t, kept.Save(t.Files())
	}
	files, err := kept.Load()
	if err != nil {
		return nil, trustTrouble(stateDir, err)
	}
	own, err := policy.OpenTrust(files, now())
	if err != nil {
		return nil, trustTrouble(stateDir, err)
	}
	return own, nil
}

func errNoApplyProcess() error {
	return api.Errorf(api.ClassFailed, "this system does not tell who calls on a local socket, so the apply role cannot be a process of its own").
		WithHint("'patchmesh run' installs updates by itself here")
}

// RunApply is the apply process: it answers on its socket until ctx ends. It opens no network.
func RunApply(ctx context.Context, cfg ApplyConfig) error {
	if runtime.GOOS == "windows" {
		return errNoApplyProcess()
	}
	p, err := openApplyProcess(cfg)
	if err != nil {
		return err
	}
	defer p.close()
	ln, err := apply.Listen(cfg.Socket, cfg.GID)
	if errors.Is(err, fs.ErrNotExist) {
		return api.Errorf(api.ClassFailed, "%v", err).WithHint("make the folder of the socket first; it should belong to this user")
	}
	if err != nil {
		return err
	}
	cfg.Log.Info("apply role ready", "socket", cfg.Socket, "machine", p.enrolled.Name, "site", p.enrolled.Site, "groups", p.enrolled.Groups, "for_uid", cfg.UID)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go p.trust.run(ctx)
	var leaving atomic.Bool
	go cfg.Agent.follow(ctx, cfg.Log, nil, func() { leaving.Store(true); stop() })
	if err := p.server.Serve(ctx, ln); err != nil || !leaving.Load() {
		return err
	}
	return ErrHandover
}

// applyProcess is an open state folder with its server.
type applyProcess struct {
	enrolled apply.Enrolment
	trust    *applyTrust
	shelf    *apply.Folder
	journal  *apply.FileJournal
	server   *apply.Server
}

func (p *applyProcess) close() {
	_ = p.journal.Close()
	_ = p.shelf.Close()
}

func openApplyProcess(cfg ApplyConfig) (*applyProcess, error) {
	if err := apply.Private(cfg.StateDir); err != nil {
		return nil, api.Errorf(api.ClassFailed, "state folder of the apply role: %v", err).WithHint("it must belong to this user alone")
	}
	e, err := apply.LoadEnrolment(machineFile(cfg.StateDir))
	if errors.Is(err, apply.ErrNotEnrolled) {
		return nil, api.Errorf(api.ClassUsage, "the apply role in %s was not prepared", cfg.StateDir).
			WithHint("'patchmesh apply init --state %s --data DIR' takes over the enrolment of a data folder", cfg.StateDir)
	}
	if err != nil {
		return nil, err
	}
	trust, err := openApplyTrust(filepath.Join(cfg.StateDir, "trust"), cfg.Now, cfg.Log)
	if err != nil {
		return nil, err
	}
	work := workDir(cfg.StateDir)
	if err := os.RemoveAll(work); err != nil { // always safe to delete
		return nil, fmt.Errorf("clear work folder: %w", err)
	}
	p := &applyProcess{enrolled: e, trust: trust}
	if p.shelf, err = apply.OpenFolder(filepath.Join(cfg.StateDir, "shelf"), func() (int64, error) {
		free, _, err := inventory.Free(cfg.StateDir)
		return free, err
	}); err != nil {
		return nil, err
	}
	journal, open, err := apply.OpenJournal(filepath.Join(cfg.StateDir, "journal"))
	if err != nil {
		_ = p.shelf.Close()
		return nil, err
	}
	for _, j := range open {
		cfg.Log.Warn("an install was interrupted; the machine is looked at again", "update", j.Update, "revision", j.Revision, "since", j.At.Format(time.RFC3339))
	}
	p.journal = journal
	h := newHands(cfg.Root, cfg.StateDir, cfg.RestartWith, cfg.GoingDown)
	role := apply.NewRole(apply.Config{
		Trust: trust, Verify: trust.verify, Shelf: p.shelf, Journal: journal, Machine: e.Machine(installerKinds()), Lately: newApplyStock(cfg).known,
		Now: trust.clock.now, Log: cfg.Log,
		Hands: h, Restarter: h.restart, GoingDown: h.restart.GoingDown, Agent: slotsProof(cfg.Agent),
	})
	if _, err := role.Status(); err != nil { // damaged documents are told at once; they are never reset
		p.close()
		return nil, trustTrouble(cfg.StateDir, err)
	}
	p.server = apply.NewServer(apply.ServerConfig{Role: role, Shelf: p.shelf, Who: peercred.Of, Allowed: []int{cfg.UID}, Log: cfg.Log})
	return p, nil
}

// ApplyPrepared says whether PrepareApply has been done on a state folder.
func ApplyPrepared(stateDir string) bool {
	_, err := apply.LoadEnrolment(machineFile(stateDir))
	return err == nil
}
