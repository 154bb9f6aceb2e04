package install

// Beside is beside, for tests.
var Beside = beside
