// Package tuftest is a suite that any TUF client must pass: a repository that misbehaves on request,
// and a case for everything that the public conformance suite of the TUF project asks, under that
// suite's names, and for what it does not ask.
//
// The suite drives an abstract Client, so that the same cases run against the pure workflow in policy
// and against the command line over HTTP.
//
// # Decisions
//
//   - The repository is made of plain maps, not of types: a case can write what no type allows.
//   - Signatures are made over the canonical JSON of an independent library, so that a mistake in the
//     client's own encoder cannot cancel itself out.
//   - Time is an argument: every case begins at Start.
package tuftest
