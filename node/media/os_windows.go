package media

// openFlags: what is opened is compared with what was looked at.
const openFlags = 0
