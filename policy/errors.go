package policy

import "errors"

// Refusals. Each stands for one way in which a document is not to be believed.
var (
	ErrFormat       = errors.New("malformed document")
	ErrTooLarge     = errors.New("document larger than its limit")
	ErrHash         = errors.New("document does not match the hash that was signed")
	ErrBadSignature = errors.New("signature does not hold")
	ErrUnknownKey   = errors.New("signed by a key that is not trusted for this")
	ErrThreshold    = errors.New("not enough signatures")
	ErrRollback     = errors.New("older than what is trusted already")
	ErrExpired      = errors.New("expired")
	ErrOrg          = errors.New("belongs to another organisation")
	ErrWeakKey      = errors.New("public key is of low order or not in canonical form")
	ErrLimit        = errors.New("beyond what the role may decide")
	ErrBound        = errors.New("beyond what policy allows")
)

// ReasonOf finds the reason code of a refusal; empty if the error is none.
func ReasonOf(err error) Reason {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrRollback):
		return ReasonTrustRollbackEpoch
	case errors.Is(err, ErrUnknownKey):
		return ReasonTrustUnknownKey
	case errors.Is(err, ErrExpired):
		return ReasonTrustStale
	case errors.Is(err, ErrBadSignature), errors.Is(err, ErrThreshold), errors.Is(err, ErrHash), errors.Is(err, ErrFormat),
		errors.Is(err, ErrTooLarge), errors.Is(err, ErrOrg), errors.Is(err, ErrWeakKey),
		errors.Is(err, ErrLimit):
		return ReasonTrustBadSignature
	}
	return ""
}
