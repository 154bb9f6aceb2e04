package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/install"
	"patchmesh/node/keys"
	"patchmesh/node/source"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm/wire"

	"patchmesh/node/transport"
)

// seed is what only a node with approval keys can do: fill the catalogue, change the draft, sign
// and publish, invite and enrol. Its methods work on the data folder alone, so that they serve the
// running node and the command line beside a stopped one alike.
type seed struct {
	dir      string
	db       *state.DB
	store    content.Store
	believer *believer
	docs     *library
	member   membership
	now      func() time.Time

	online  policy.OnlineKeys
	issuers issuers
	box     []byte // opens sealed join requests
	gossip  []byte // secret from which the key of each site's gossip is made

	mu   sync.Mutex      // one change of the draft at a time
	hist *policy.History // the approval log as it was written last; nil: to be read
	// connected names the machines that have a session here; nil beside a stopped node.
	connected func() map[string]bool
	// published is told of a new trust; nil beside a stopped node.
	published func(*policy.Trust)

	decoded decoded

	stocks stockbook                       // inventories, see stockseed.go
	unheld atomic.Pointer[[]api.Attention] // halts that nothing holds, see brakes.go

	receipts *receipts // nil beside a stopped node

	seenMu sync.Mutex
	addrs  map[string]seenAddr // peer id to where it was seen last
}

type seenAddr struct {
	site, addr string
	at         time.Time
}

// openSeed loads the online keys. A folder without them is no seed: nil, nil.
func openSeed(dir string, db *state.DB, store content.Store, b *believer, docs *library, m membership, now func() time.Time) (*seed, error) {
	kd := filepath.Join(dir, "keys")
	if !isSeedDir(dir) {
		return nil, nil
	}
	s := &seed{dir: dir, db: db, store: store, believer: b, docs: docs, member: m, now: now, addrs: map[string]seenAddr{}}
	life, err := keptLife(db)
	if err != nil {
		return nil, err
	}
	if s.online, err = openOnline(dir, b.current()); err != nil {
		return nil, err
	}
	s.online = lasting(s.online, life)
	if err = s.issuers.open(kd); err != nil {
		return nil, err
	}
	box, err := keys.OpenRole(kd, roleBox, "")
	if err != nil {
		return nil, err
	}
	s.box = box.Seed()
	gossip, err := keys.OpenRole(kd, roleGossip, "")
	if err != nil {
		return nil, err
	}
	s.gossip = gossip.Seed()
	return s, nil
}

// whole refuses to act for a seed that has lost its documents: what it would sign without them could
// be older than what the machines trust.
func (s *seed) whole() error {
	if s.believer.current().Manifest() != nil {
		return nil
	}
	return api.Errorf(api.ClassRefused, "this seed has lost its approvals on disk and waits for a machine of the mesh to bring them").
		WithHint("see that a machine is connected ('patchmesh peers'); if none has them, restore the folder trust from a backup")
}

// openOnline loads the keys that a seed signs with by itself: those that count under t. After a root
// with new online keys several of a kind may lie here, NAME and NAME-anything; nil t is the beginning.
func openOnline(dir string, t *policy.Trust) (policy.OnlineKeys, error) {
	var online policy.OnlineKeys
	kd := filepath.Join(dir, "keys")
	all, err := keys.Roles(kd)
	if err != nil {
		return online, err
	}
	counts := map[string][]string{}
	if t != nil {
		for _, r := range t.RootRoles() {
			counts[r.Name] = r.Keys
		}
	}
	for name, into := range map[string]*policy.Signer{roleTimestamp: &online.Timestamp, roleSnapshot: &online.Snapshot, roleRoster: &online.Roster} {
		file := name
		for _, k := range all {
			s, err := policy.NamePublic(k.Public)
			if err == nil && !k.Protected && (k.Name == name || strings.HasPrefix(k.Name, name+"-")) && slices.Contains(counts[name], s.KeyID()) {
				file = k.Name
			}
		}
		k, err := keys.OpenRole(kd, file, "")
		if err != nil {
			return online, fmt.Errorf("online key %s: %w", file, err)
		}
		if *into, err = policy.NewSigner(k); err != nil {
			return online, err
		}
	}
	return online, nil
}

// Invite makes a join token. Only its hash is stored.
func (s *seed) invite(r api.InviteRequest) (*api.Invite, error) {
	if r.Site == "" {
		r.Site = DefaultSite
	}
	if r.Uses == 0 {
		r.Uses = 1
	}
	if r.ExpiresIn == 0 {
		r.ExpiresIn = time.Hour
	}
	if r.Uses < 0 || r.Uses > 100000 || r.ExpiresIn < 0 || r.ExpiresIn > 365*24*time.Hour {
		return nil, api.Errorf(api.ClassUsage, "uses must be 1 to 100000 and the expiry at most a year")
	}
	for _, name := range append([]string{r.Site}, r.Groups...) {
		if !policy.ValidName(name) {
			return nil, api.Errorf(api.ClassUsage, "%q is no valid name for a site or group", name).
				WithHint("use letters, digits, dot, dash and underscore, 1 to 63 of them")
		}
	}
	for _, g := range r.Groups {
		if g == "all" || g == "unassigned" {
			return nil, api.Errorf(api.ClassUsage, "group %q is built in: machines are in it by themselves", g)
		}
		if err := s.db.PutGroup(g, ""); err != nil {
			return nil, err
		}
	}
	if err := s.readyGossip(r.Site); err != nil { // before the first machine of a new site asks for its key
		return nil, err
	}
	return s.newToken(r)
}

// importPayload reads one payload into the store and the catalogue.
func (s *seed) importPayload(r api.ImportRequest, body io.Reader) (*api.Imported, error) {
	if err := checkImport(r); err != nil {
		return nil, err
	}
	m, err := s.store.Import(body, r.SizeBytes)
	if err != nil {
		return nil, importError(r.FileName, err)
	}
	meta, err := s.readMeta(m.ID(), r)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s: %v", r.FileName, err).WithHint("the file is damaged or not what its name says")
	}
	d, err := describe(r, meta, m)
	if err != nil {
		return nil, err
	}
	if d.Vendor, err = s.vendorOf(r, m); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	unchanged, err := s.numberRevision(d)
	if err != nil {
		return nil, err
	}
	if !unchanged {
		if err := s.catalogue(d, m); err != nil {
			return nil, err
		}
	}
	listing, err := s.listing(d, !unchanged)
	if err != nil {
		return nil, err
	}
	return &api.Imported{
		Listing: listing, Update: string(d.Update), Revision: d.Revision, Title: d.Title, Installer: d.Installer,
		Descriptor: d.ID().String(), Payload: d.Payload.String(), SizeBytes: m.PlainBytes, StoredBytes: m.StoredBytes(),
		Chunks: m.Len(), SHA256: d.SHA256, Unchanged: unchanged, Warnings: s.importDoubts(d),
	}, nil
}

func checkImport(r api.ImportRequest) error {
	if r.FileName == "" || r.FileName != filepath.Base(r.FileName) || len(r.FileName) > 255 {
		return api.Errorf(api.ClassUsage, "%q is no file name", r.FileName)
	}
	if r.SizeBytes <= 0 {
		return api.Errorf(api.ClassUsage, "%s is empty", r.FileName)
	}
	if err := checkOrigins(r.Origins); err != nil {
		return err
	}
	if r.Installer != "" && !slices.Contains(install.Known(), r.Installer) {
		return api.Errorf(api.ClassUsage, "unknown installer %q", r.Installer).
			WithHint("this version has: %s", strings.Join(install.Known(), ", "))
	}
	return nil
}

func importError(name string, err error) error {
	var full *content.NoSpaceError
	if errors.As(err, &full) && full.Quota {
		return api.Errorf(api.ClassNoSpace, "%s does not fit: %s", name, quotaText(full.NeedBytes, full.FreeBytes)).
			WithHint("start the node with a greater --store-quota")
	}
	if errors.As(err, &full) {
		return api.Errorf(api.ClassNoSpace, "%s does not fit: %s", name, spaceText(full.NeedBytes, full.FreeBytes)).
			WithHint("make room on the disk of the data folder and import again")
	}
	if errors.Is(err, content.ErrNoSpace) {
		return api.Errorf(api.ClassNoSpace, "%s does not fit on the disk of the data folder", name)
	}
	return fmt.Errorf("import %s: %w", name, err)
}

func spaceText(need, free int64) string {
	return fmt.Sprintf("needs %s, %s free", api.Size(need), api.Size(free))
}

// readMeta reads what the payload says of itself (a .deb: name, version, architecture; a set: all of its packages).
func (s *seed) readMeta(payload content.ID, q api.ImportRequest) (source.Meta, error) {
	r, err := s.store.OpenPlain(payload)
	if err != nil {
		return source.Meta{}, err
	}
	defer r.Close()
	if source.IsSet(q.FileName, q.Installer) {
		return source.DescribeSet(q.FileName, r)
	}
	return source.Describe(q.FileName, r)
}

// describe makes the descriptor from what the admin said and what the file says.
func describe(r api.ImportRequest, meta source.Meta, m *content.PayloadMap) (*policy.Descriptor, error) {
	d := &policy.Descriptor{
		Format: policy.DescriptorFormat, Title: api.Clean(first(r.Title, meta.Title, r.FileName)),
		Severity: first(r.Severity, "unspecified"), Classification: first(r.Classification, "other"), Product: first(r.Product, meta.Package),
		CVEs: r.CVEs, Installer: first(r.Installer, meta.Installer), InstallerArgs: r.InstallerArgs,
		FileName: r.FileName, Payload: m.ID(), MapBytes: len(m.Encode()), PlainBytes: m.PlainBytes, StoredBytes: m.StoredBytes(),
		SHA256: hex.EncodeToString(m.SHA256[:]), Package: meta.Package, Version: meta.Version, Arch: meta.Arch, Depends: meta.Depends,
	}
	if err := namePackages(d, meta); err != nil {
		return nil, err
	}
	d.Requires = []string{d.Installer}
	d.Origins, d.OriginHosts = r.Origins, r.OriginHosts
	id, err := policy.ParseUpdateID(first(r.ID, meta.DefaultID))
	if err != nil {
		return nil, api.Errorf(api.ClassUsage, "update id: %v", err).WithHint("give one with --id, lower case letters, digits and . _ + ~ -")
	}
	d.Update = id
	for _, x := range r.Supersedes {
		u, err := policy.ParseUpdateID(x)
		if err != nil {
			return nil, api.Errorf(api.ClassUsage, "superseded update id: %v", err)
		}
		d.Supersedes = append(d.Supersedes, u)
	}
	if err := addRules(d, r.ImportRules); err != nil {
		return nil, err
	}
	if err := install.CheckDescriptor(d); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%s: %v", r.FileName, err).WithHint("see --installer-arg, --installed and 'patchmesh import --help'")
	}
	return d, nil
}

// namePackages puts the packages of a set into what is signed.
func namePackages(d *policy.Descriptor, meta source.Meta) error {
	if said := d.InstallerArgs["packages"]; meta.Packages == "" || said == meta.Packages {
		return nil
	} else if said != "" {
		return api.Errorf(api.ClassUsage, "%s holds %s", d.FileName, meta.Packages).WithHint("leave --installer-arg packages away: it is read from the file")
	}
	d.InstallerArgs = maps.Clone(d.InstallerArgs)
	if d.InstallerArgs == nil {
		d.InstallerArgs = map[string]string{}
	}
	d.InstallerArgs["packages"] = meta.Packages
	return nil
}

func first(s ...string) string {
	for _, x := range s {
		if x != "" {
			return x
		}
	}
	return ""
}

// numberRevision gives the descriptor its revision: the same as the newest if nothing changed
// (true), else one more.
func (s *seed) numberRevision(d *policy.Descriptor) (unchanged bool, err error) {
	row, err := s.db.Update(string(d.Update))
	switch {
	case errors.Is(err, state.ErrNotFound):
		d.Revision = 1
		return false, nil
	case err != nil:
		return false, err
	}
	d.Revision = row.Revision
	if d.ID() == row.Descriptor {
		return true, nil
	}
	d.Revision++
	return false, nil
}

func (s *seed) catalogue(d *policy.Descriptor, m *content.PayloadMap) error {
	body, err := d.Encode()
	if err != nil {
		return api.Errorf(api.ClassUsage, "update %s: %v", d.Update, err)
	}
	if err := s.db.PutDoc(d.Payload, "payload-map", m.Encode()); err != nil {
		return err
	}
	if err := s.db.PutDoc(d.ID(), "descriptor", body); err != nil {
		return err
	}
	return s.db.PutUpdate(state.CatalogueRow{
		Update: string(d.Update), Revision: d.Revision, Descriptor: d.ID(), Body: body, At: s.now(),
	})
}

// id is this seed's own.
func (s *seed) id() string {
	for _, e := range s.believer.current().Roster().Seeds {
		if e.Site == s.member.Site {
			return e.Peer
		}
	}
	return ""
}

// sawMachine books a contact; sawAddr an address, for hints.
func (s *seed) sawMachine(id string) { _ = s.db.Touch(id, s.now()) }

func (s *seed) sawAddr(p transport.Peer) {
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	if len(s.addrs) > 65536 {
		clear(s.addrs)
	}
	s.addrs[p.ID] = seenAddr{site: p.Site, addr: p.Addr, at: s.now()}
}

// recentAddrs lists where machines of a site were seen lately, newest first.
func (s *seed) recentAddrs(site, not string, most int) []wire.PeerAddr {
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	type row struct {
		id string
		a  seenAddr
	}
	var rows []row
	for id, a := range s.addrs {
		if a.site == site && id != not {
			rows = append(rows, row{id, a})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return b.a.at.Compare(a.a.at) })
	var out []wire.PeerAddr
	for _, r := range rows[:min(most, len(rows))] {
		out = append(out, wire.PeerAddr{ID: r.id, Addr: r.a.addr})
	}
	return out
}
