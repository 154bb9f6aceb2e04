package api

import "patchmesh/policy"

// VendorClaim says of a customised payload which vendor's file it was made around. The seed holds it against the payload.
type VendorClaim struct {
	SHA256   string `json:"sha256"`
	Origin   string `json:"origin,omitempty"`
	Member   string `json:"member,omitempty"`    // where it lies in the payload, an archive; empty: it is the payload
	FileName string `json:"file_name,omitempty"` // empty: as it is called there
}

// Vendor is what was signed of it.
type Vendor = policy.Vendor

// UpdateVendor says of an update that its payload was made around a vendor's file.
type UpdateVendor struct {
	Update   string `json:"update"`
	Revision int    `json:"revision"`
	Vendor
}
