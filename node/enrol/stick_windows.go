package enrol

// openFlags: there is no flag against links; the look before and after opening has to do.
const openFlags = 0
