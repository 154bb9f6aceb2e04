package api

// What becomes of an imported update that nobody decides about.
const (
	ListingNext = "next" // with the next signed approvals machines begin to look whether they have it
	ListingNot  = "not"  // it is not looked for: withdrawn, replaced, a mitigation, a command tells whether it is there, or too many are listed already
	ListingOff  = "off"  // the setting list-new says that nothing is
)
