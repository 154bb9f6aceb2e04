package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/keys"
	"patchmesh/node/state"
)

// errands is how memberships are renewed where no way leads to the seed: sealed requests gather on the
// machines of a site, travel on a medium with the reports, and the seed's answers come back with the next
// approvals. It works on the database, so that a stopped machine can be fed too.
type errands struct {
	db       *state.DB
	key      ed25519.PrivateKey
	id       string
	believer *believer
	now      func() time.Time

	mu    sync.Mutex // one change of what is kept at a time
	ownMu sync.Mutex // one request is made at a time
}

// errand is the request of one machine. It shows the certificate along, and is signed: whoever relays it
// can say whose it is, so that nobody fills the list with machines that there are not.
type errand struct {
	Machine string    `json:"machine"`
	At      time.Time `json:"at"`
	Request []byte    `json:"request"` // sealed to the seed
	Cert    []byte    `json:"cert"`
	Sig     []byte    `json:"sig"`
}

// errandBook is what is kept of others: by machine, and of strangers, whose membership has lapsed, by turn.
type errandBook struct {
	Errands map[string]errand `json:"errands"`
	Strays  []stray           `json:"strays,omitempty"`
}

// stray is the request of a machine that proved its key, and nothing more.
type stray struct {
	Peer    string `json:"peer"`
	Request []byte `json:"request"`
}

// ownErrand is a request of this machine with the secret that opens its answers.
type ownErrand struct {
	At      time.Time `json:"at"`
	Pending []byte    `json:"pending"`
}

// Where errands are kept, and how many. A request is used for long: every medium that the seed packs
// answers it anew, whether or not one came back from the site in between.
const (
	ownErrandsKey   = "errands.own"
	errandsKey      = "errands.held"
	answersKey      = "errands.answers"
	errandDomain    = "patchmesh errand v1\x00"
	answersDomain   = "patchmesh answers v1\x00"
	errandLife      = 60 * 24 * time.Hour // then a new request is made
	maxOwnErrands   = 3                   // an older one may still come back answered
	maxErrands      = 1500                // with those of strangers they fit into one value of the database
	maxStrays       = 64
	maxStrayBytes   = 2 << 10 // a request for renewal has about 600
	maxAnswers      = 1500    // in one list
	maxErrandsBytes = 4 << 20
	maxAnswersBytes = 4 << 20
	maxErrandSkew   = time.Hour // clocks differ
)

func (n *Node) newErrands() *errands {
	return &errands{db: n.db, key: n.key, id: n.id, believer: n.believer, now: n.cfg.Now}
}

// own is this machine's errand; nil on a seed, which needs none.
func (e *errands) own() (*errand, error) {
	m, err := loadMembership("", e.db)
	if err != nil || len(m.Box) == 0 {
		return nil, err
	}
	e.ownMu.Lock()
	defer e.ownMu.Unlock()
	all, err := e.pendings()
	if err != nil {
		return nil, err
	}
	now := e.now()
	if n := len(all); n == 0 || now.Sub(all[n-1].at) > errandLife || now.Before(all[n-1].at.Add(-maxErrandSkew)) || string(all[n-1].p.Box()) != string(m.Box) {
		if all, err = e.newPending(m, all, now); err != nil {
			return nil, err
		}
	}
	last := all[len(all)-1]
	r := &errand{Machine: e.id, At: last.at, Request: last.p.Request, Cert: m.Cert}
	r.Sig = ed25519.Sign(e.key, r.signed())
	return r, nil
}

type pendingErrand struct {
	at time.Time
	p  *enrol.Pending
}

func (e *errands) pendings() ([]pendingErrand, error) {
	var kept []ownErrand
	b, err := e.db.Value(ownErrandsKey)
	if errors.Is(err, state.ErrNotFound) || err == nil && len(b) == 0 {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &kept)
	}
	if err != nil {
		return nil, fmt.Errorf("own requests for renewal: %w", err)
	}
	var out []pendingErrand
	for _, k := range kept {
		p, err := enrol.DecodePending(k.Pending)
		if err != nil {
			return nil, err
		}
		out = append(out, pendingErrand{k.At, p})
	}
	return out, nil
}

// newPending makes a request, and keeps its secret before the request leaves.
func (e *errands) newPending(m membership, all []pendingErrand, now time.Time) ([]pendingErrand, error) {
	c, err := enrol.Read(m.Cert)
	if err != nil {
		return nil, err
	}
	p, err := enrol.NewRenewal(m.Box, e.key, c.Serial, 0, rand.Reader)
	if err != nil {
		return nil, err
	}
	all = append(all, pendingErrand{now.UTC().Truncate(time.Second), p})
	all = all[max(0, len(all)-maxOwnErrands):]
	var kept []ownErrand
	for _, a := range all {
		b, err := a.p.Encode()
		if err != nil {
			return nil, err
		}
		kept = append(kept, ownErrand{a.at, b})
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	return all, e.db.PutValue(ownErrandsKey, b)
}

func (r *errand) signed() []byte {
	b := append([]byte(errandDomain), r.Machine...)
	b = binary.BigEndian.AppendUint64(append(b, 0), uint64(r.At.Unix()))
	return append(b, r.Request...)
}

// check says whether an errand is that of a machine of this site.
func (r *errand) check(e *errands, m membership) error {
	if len(r.Request) == 0 || len(r.Request) > enrol.MaxRequestBytes || r.At.After(e.now().Add(maxErrandSkew)) {
		return content.ErrFormat
	}
	c, err := memberCert(e.believer, m, e.now(), r.Machine, r.Cert)
	if err != nil {
		return err
	}
	if c.Site != m.Site {
		return errForeignSite
	}
	pub, err := keys.PublicKey(r.Machine)
	if err != nil {
		return err
	}
	if !ed25519.Verify(pub, r.signed(), r.Sig) {
		return errors.New("the signature of a request for renewal does not hold")
	}
	return nil
}

// book is what is kept; a damaged one is empty: the machines give their requests again.
func (e *errands) book() errandBook {
	k := errandBook{}
	if b, err := e.db.Value(errandsKey); err == nil {
		_ = json.Unmarshal(b, &k)
	}
	if k.Errands == nil {
		k.Errands = map[string]errand{}
	}
	return k
}

func (e *errands) keep(k errandBook) error {
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return e.db.PutValue(errandsKey, b)
}

// give are the errands that this machine knows, its own first.
func (e *errands) give() ([]errand, error) {
	own, err := e.own()
	if err != nil {
		return nil, err
	}
	k := e.book()
	var out []errand
	if own != nil {
		out = append(out, *own)
		delete(k.Errands, own.Machine)
	}
	for _, id := range slices.Sorted(maps.Keys(k.Errands)) {
		out = append(out, k.Errands[id])
	}
	return out, nil
}

// encode is what a neighbour gets: as many as fit.
func (e *errands) encode() ([]byte, error) {
	all, err := e.give()
	if err != nil {
		return nil, err
	}
	for {
		b, err := json.Marshal(all)
		if err != nil || len(b) <= maxErrandsBytes {
			return b, err
		}
		all = all[:len(all)/2]
	}
}

// take keeps what a neighbour has given. wrong is the first that does not hold.
func (e *errands) take(b []byte) (wrong error, err error) {
	var all []errand
	if len(b) > maxErrandsBytes || json.Unmarshal(b, &all) != nil || len(all) > maxErrands {
		return fmt.Errorf("requests for renewal: %w", content.ErrFormat), nil
	}
	m, err := loadMembership("", e.db)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k, changed := e.book(), false
	for _, r := range all {
		old, known := k.Errands[r.Machine]
		if r.Machine == e.id || known && !r.At.After(old.At) || !known && len(k.Errands) >= maxErrands {
			continue
		}
		if err := r.check(e, m); err != nil {
			wrong = fmt.Errorf("request for renewal of %s: %w", api.Clean(r.Machine), err)
			continue
		}
		k.Errands[r.Machine], changed = r, true
	}
	if !changed {
		return wrong, nil
	}
	return wrong, e.keep(k)
}

// stray keeps the request of a machine that nobody gives a session any more, the newest of each. Whether
// it was ever enrolled only the seed can see, so those are few, and the oldest go.
func (e *errands) stray(peerID string, request []byte) error {
	var doc struct {
		Kind enrol.Kind `json:"k"`
	}
	if len(request) > maxStrayBytes || json.Unmarshal(request, &doc) != nil || doc.Kind != enrol.KindRenew {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.book()
	if r, known := k.Errands[peerID]; known && string(r.Request) == string(request) {
		return nil
	}
	// The newest two of a machine: one that asks around makes a request for this attempt alone, too, of which
	// it keeps no secret, and which of the two it is cannot be seen from outside.
	of := slices.DeleteFunc(slices.Clone(k.Strays), func(s stray) bool { return s.Peer != peerID })
	for _, s := range of {
		if string(s.Request) == string(request) {
			return nil
		}
	}
	if len(of) > 1 {
		k.Strays = slices.DeleteFunc(k.Strays, func(s stray) bool { return s.Peer == peerID && string(s.Request) != string(of[1].Request) })
	}
	k.Strays = append(k.Strays, stray{peerID, request})
	k.Strays = k.Strays[max(0, len(k.Strays)-maxStrays):]
	return e.keep(k)
}

// requests are what a medium carries to the seed.
func (e *errands) requests() ([][]byte, error) {
	all, err := e.give()
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, r := range all {
		out = append(out, r.Request)
	}
	for _, s := range e.book().Strays {
		out = append(out, s.Request)
	}
	return out, nil
}

// answerList is what the seed has answered, for all machines of a site. The seed signs it with its
// enrolment key: nobody else's list gets into the store of a machine, nor replaces a newer one.
type answerList struct {
	Org     string          `json:"org"`
	Site    string          `json:"site,omitempty"` // empty: of all sites
	At      time.Time       `json:"at"`
	Answers []errandsAnswer `json:"answers"`
}

type errandsAnswer struct {
	Request content.ID `json:"request"`
	Answer  []byte     `json:"answer"` // sealed for the machine that asked
}

type signedAnswers struct {
	Body []byte `json:"body"`
	Sig  []byte `json:"sig"`
}

func (l answerList) sign(key ed25519.PrivateKey) ([]byte, error) {
	body, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return json.Marshal(signedAnswers{body, ed25519.Sign(key, append([]byte(answersDomain), body...))})
}

// openAnswers checks a list against the roster: it must be of this organisation and for this site.
func openAnswers(b []byte, bel *believer, m membership, now time.Time) (*answerList, error) {
	var s signedAnswers
	var l answerList
	if len(b) > maxAnswersBytes || json.Unmarshal(b, &s) != nil {
		return nil, fmt.Errorf("list of renewals: %w", content.ErrFormat)
	}
	all, err := rosterKeys(bel.current().Roster())
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(k ed25519.PublicKey) bool {
		return ed25519.Verify(k, append([]byte(answersDomain), s.Body...), s.Sig)
	}) {
		return nil, fmt.Errorf("list of renewals: %w", enrol.ErrUntrustedIssuer)
	}
	if err := json.Unmarshal(s.Body, &l); err != nil {
		return nil, fmt.Errorf("list of renewals: %w", content.ErrFormat)
	}
	switch {
	case l.Org != m.Org || l.Site != "" && l.Site != m.Site:
		return nil, fmt.Errorf("list of renewals for %s in %s: %w", api.Clean(l.Site), api.Clean(l.Org), errForeignSite)
	case l.At.After(now.Add(24 * time.Hour)):
		return nil, fmt.Errorf("list of renewals of %s: %w", l.At.Format(time.RFC3339), content.ErrFormat)
	}
	return &l, nil
}

// answers is the newest list at hand, and when it was made; nil if there is none.
func (e *errands) answers() ([]byte, time.Time) {
	b, err := e.db.Value(answersKey)
	if err != nil || len(b) == 0 {
		return nil, time.Time{}
	}
	m, err := loadMembership("", e.db)
	if err != nil {
		return nil, time.Time{}
	}
	l, err := openAnswers(b, e.believer, m, e.now())
	if err != nil { // the key it was signed with is out of use
		return nil, time.Time{}
	}
	return b, l.At
}

// takeAnswers keeps a list that is newer than the one at hand.
func (e *errands) takeAnswers(b []byte) (newer bool, n int, err error) {
	m, err := loadMembership("", e.db)
	if err != nil {
		return false, 0, err
	}
	l, err := openAnswers(b, e.believer, m, e.now())
	if err != nil {
		return false, 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, at := e.answers(); !l.At.After(at) {
		return false, len(l.Answers), nil
	}
	return true, len(l.Answers), e.db.PutValue(answersKey, b)
}

// mine is the answer to this machine in the list at hand; nil if there is none that opens.
func (e *errands) mine() (*enrol.Answer, error) {
	all, err := e.pendings()
	if err != nil {
		return nil, err
	}
	for _, o := range slices.Backward(all) {
		b := e.answerTo(o.p.Request)
		if b == nil {
			continue
		}
		if a, err := o.p.Open(b); err == nil {
			return a, nil
		}
	}
	return nil, nil
}

// answerTo is the sealed answer to a request; nil if it is not here.
func (e *errands) answerTo(request []byte) []byte {
	b, err := e.db.Value(answersKey)
	if err != nil || len(b) == 0 {
		return nil
	}
	var s signedAnswers
	var l answerList
	if json.Unmarshal(b, &s) != nil || json.Unmarshal(s.Body, &l) != nil { // it was checked when it came
		return nil
	}
	id := content.Sum(request)
	for _, a := range l.Answers {
		if a.Request == id {
			return a.Answer
		}
	}
	return nil
}
