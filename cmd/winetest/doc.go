// Package winetest runs what is built for Windows under Wine, on a machine that has it: the test
// binaries of packages, and the product. It is for tests alone.
//
// What Wine shows is that the calls into Windows are made as Windows wants them, with its registry, its
// installer, its locks on open files and its service manager. It is not Windows: what Wine does not have
// is left out by name, where a test would need it.
//
// # Nouns
//
//   - A Prefix is a Windows of its own, in a folder that is deleted with the test.
//   - A Build is how a program for Windows is made so that an old Wine starts it.
//
// # Decisions
//
//   - A prefix takes ten seconds and a build as many: this is no part of a quick run of the tests, so New
//     skips unless PATCHMESH_SOAK=1 is set. Where Wine is missing it says so.
//   - Go's runtime asks Windows for random bytes through a library that Wine 8 lacks. In its place a prefix
//     gets a library without code that passes the one call on (forwarder).
//   - Two calls of Go's standard library are answered by Wine 8 with errors that Go takes for real ones: how
//     it deletes files and what it asks of UDP sockets. Programs are built with an overlay that changes one
//     word in each of two files of the standard library (changes). Nothing of this project is changed.
//   - Wine 8 has no unix sockets and makes no symbolic links: the local API, and what is said of links,
//     is not shown here.
package winetest
