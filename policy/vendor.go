package policy

import (
	"encoding/hex"
	"fmt"
	"strings"

	"patchmesh/content"
)

// Vendor is the file that a payload was made around, as its vendor gave it out. Whoever customises an update keeps
// with it what the vendor's own hash says, so that it can be held against the vendor's word later. The seed that
// imports the payload has found the file in it; the approvers sign that.
type Vendor struct {
	FileName string `json:"file_name"`
	SHA256   string `json:"sha256"` // hex
	Bytes    int64  `json:"bytes"`
	Origin   string `json:"origin,omitempty"` // URL where the vendor gives it out
	Member   string `json:"member,omitempty"` // where it lies in the payload, an archive; empty: it is the payload
}

const maxMemberBytes = 1024

// check: the statement is whole, and what is the payload itself has the payload's hash.
func (v *Vendor) check(d *Descriptor) error {
	if v == nil {
		return nil
	}
	sum, err := hex.DecodeString(v.SHA256)
	if err != nil || len(sum) != 32 || hex.EncodeToString(sum) != v.SHA256 || v.Bytes < 1 || v.Bytes > content.MaxPayloadBytes {
		return fmt.Errorf("descriptor of %s: the vendor's file has no hash or size: %w", d.Update, ErrFormat)
	}
	if v.Member == "" && (v.SHA256 != d.SHA256 || v.Bytes != d.PlainBytes) {
		return fmt.Errorf("descriptor of %s: the payload is not the vendor's file that it is said to be: %w", d.Update, ErrFormat)
	}
	if err := checkFileName(v.FileName); err != nil {
		return fmt.Errorf("descriptor of %s: vendor's file: %w", d.Update, err)
	}
	if err := checkText("vendor's file name", v.FileName, maxFileNameBytes); err != nil {
		return err
	}
	if v.Origin != "" {
		web := strings.HasPrefix(v.Origin, "https://") || strings.HasPrefix(v.Origin, "http://")
		if !web || len(v.Origin) > maxURLBytes || !plainURL(v.Origin) {
			return fmt.Errorf("descriptor of %s: %.80q is no URL of a vendor: %w", d.Update, v.Origin, ErrFormat)
		}
	}
	return checkText("place of the vendor's file", v.Member, maxMemberBytes)
}

// String says all of it in one line, for people.
func (v *Vendor) String() string {
	s := fmt.Sprintf("the vendor's %s, sha256 %s", v.FileName, v.SHA256)
	if v.Origin != "" {
		s += ", from " + v.Origin
	}
	if v.Member != "" {
		return "made around " + s + ", which lies in it as " + v.Member
	}
	return s + ", unchanged"
}
