package node

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"patchmesh/content"
	"patchmesh/node/enrol"
	"patchmesh/policy"
)

// How an inventory travels. Its packages go as a whole once, in a letter of their own, and after that every
// report carries what has changed since: so a report stays small, and one that is lost or overtaken on its
// way takes nothing with it. Both are sealed to the seed, since a list of versions is a map for attackers,
// and signed with the report that they are part of.

// stock is one of the two.
type stock struct {
	Facts  policy.Inventory `json:"facts"` // without its packages
	Claims []string         `json:"claims,omitempty"`
	// Base names the list of packages that Added and Removed are about. With Whole, it is Facts.Packages.
	Base    string           `json:"base"`
	Whole   bool             `json:"whole,omitempty"`
	Added   []policy.Package `json:"added,omitempty"`
	Removed []policy.Package `json:"removed,omitempty"`
}

// Limits of a stock. sealedStockBytes leaves room for the two encodings around it within one report.
const (
	sealedStockBytes = 120 << 10
	plainStockBytes  = policy.MaxInventoryBytes
	maxClaims        = 64
	stockPurpose     = "inventory"
)

// baseName names a list of packages.
func baseName(packages []policy.Package) string {
	b, err := json.Marshal(nonNil(packages)) // no package is the same list, however it came about
	if err != nil {
		panic(err) // plain fields: our bug
	}
	sum := content.Sum(b).SHA256()
	return hex.EncodeToString(sum[:16])
}

// difference is what has to be added to and removed from one sorted list to make the other.
func difference(base, now []policy.Package) (added, removed []policy.Package) {
	i, j := 0, 0
	for i < len(base) || j < len(now) {
		c := 1
		switch {
		case j == len(now):
			c = -1
		case i < len(base):
			c = policy.ComparePackages(base[i], now[j])
		}
		switch {
		case c == 0:
			i, j = i+1, j+1
		case c < 0:
			removed, i = append(removed, base[i]), i+1
		default:
			added, j = append(added, now[j]), j+1
		}
	}
	return added, removed
}

// on makes the inventory that a stock tells, from the packages of its base.
func (s *stock) on(base []policy.Package) (*policy.Inventory, error) {
	v := s.Facts
	if s.Whole {
		return &v, v.Check()
	}
	if baseName(base) != s.Base {
		return nil, errBase
	}
	gone := map[policy.Package]bool{}
	for _, p := range s.Removed {
		gone[p] = true
	}
	all := slices.DeleteFunc(slices.Clone(base), func(p policy.Package) bool { return gone[p] })
	v.Packages = append(all, s.Added...)
	slices.SortFunc(v.Packages, policy.ComparePackages)
	v.Packages = slices.Compact(v.Packages)
	return &v, v.Check()
}

// errBase: the packages that the changes are about are not here.
var errBase = errors.New("the list that these changes are about has not come yet")

// check refuses what no machine of ours would send, whatever it is on.
func (s *stock) check() error {
	if len(s.Base) != 32 || len(s.Claims) > maxClaims || !s.Whole && len(s.Facts.Packages) > 0 || s.Whole && len(s.Added)+len(s.Removed) > 0 {
		return fmt.Errorf("inventory of a form that is not ours: %w", policy.ErrFormat)
	}
	for _, c := range s.Claims {
		if !policy.ValidName(c) {
			return fmt.Errorf("inventory with the claim %.60q: %w", c, policy.ErrFormat)
		}
	}
	added := policy.Inventory{Packages: s.Added}
	removed := policy.Inventory{Packages: s.Removed}
	if err := errors.Join(s.Facts.Check(), added.Check(), removed.Check()); err != nil {
		return err
	}
	if s.Whole && baseName(s.Facts.Packages) != s.Base {
		return fmt.Errorf("inventory of another list than it names: %w", policy.ErrFormat)
	}
	return nil
}

// packers are kept: making one costs more than what it packs.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// pack is the compressed form, in memory and in the books.
func pack(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&out)
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack reads it within bounds: what is compressed may be larger than whoever opens it expects.
func unpack(b []byte, into any) error {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return err
	}
	plain, err := io.ReadAll(io.LimitReader(z, plainStockBytes+1))
	if err != nil {
		return err
	}
	if len(plain) > plainStockBytes {
		return fmt.Errorf("inventory of more than %d bytes: %w", plainStockBytes, policy.ErrTooLarge)
	}
	return json.Unmarshal(plain, into)
}

// sealStock makes what travels.
func sealStock(box []byte, s *stock) ([]byte, error) {
	b, err := pack(s)
	if err != nil {
		return nil, fmt.Errorf("encode inventory: %w", err)
	}
	if len(b) > sealedStockBytes {
		return nil, fmt.Errorf("inventory of %d bytes: %w", len(b), policy.ErrTooLarge)
	}
	return enrol.SealLetter(box, stockPurpose, b, rand.Reader)
}

// openStock reads what a machine has sealed, and checks all of it.
func openStock(boxSecret, letter []byte) (*stock, error) {
	if len(letter) > 2*sealedStockBytes {
		return nil, fmt.Errorf("inventory of %d bytes: %w", len(letter), policy.ErrTooLarge)
	}
	b, err := enrol.OpenLetter(boxSecret, stockPurpose, letter)
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	return readStock(b)
}

func readStock(b []byte) (*stock, error) {
	var s stock
	if err := unpack(b, &s); err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return &s, nil
}

// fitting cuts a list of packages down until it can travel as a whole: whoever reports and whoever reads must
// go by the same list, or they disagree about groups.
func fitting(v *policy.Inventory) error {
	for len(v.Packages) > 0 {
		b, err := pack(&stock{Facts: *v, Base: baseName(v.Packages), Whole: true})
		if err != nil {
			return err
		}
		if len(b) <= sealedStockBytes-1024 {
			return nil
		}
		v.Packages, v.Truncated = v.Packages[:len(v.Packages)*9/10], true
	}
	return nil
}
