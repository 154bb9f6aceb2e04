package enrol

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"patchmesh/content"
)

// HardwareIDs turns facts "kind:value" about the hardware into what a request says of it. The digest of
// the organisation's root is part of each, so that two organisations cannot tell that they have seen
// the same computer, and the data folder, so that two nodes of one computer are two machines.
func HardwareIDs(root content.ID, dataDir string, facts []string) []string {
	var out []string
	for _, f := range facts {
		kind, value, ok := strings.Cut(f, ":")
		if !ok || kind == "" || value == "" || len(out) == maxHardware {
			continue
		}
		key := root.SHA256()
		h := hmac.New(sha256.New, key[:])
		h.Write([]byte("patchmesh hardware v1\x00" + kind + "\x00" + value + "\x00" + dataDir))
		out = append(out, kind+":"+base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]))
	}
	return out
}
