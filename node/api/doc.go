// Package api is what people may ask of a node: the Service interface, the plain types that
// cross it and the text form of sizes and durations.
//
// The command line, the local control socket and the web console all speak to Service and to
// nothing deeper. It is implemented twice: by package node inside the running program, and by
// package node/control as a client of the local socket.
//
// # Invariants
//
//   - Every type here marshals to JSON with the names that interface.md fixes; fields are only added.
//   - A Service method never blocks on the network: reads answer from the latest view, commands
//     answer when their effect is durable on this machine.
//   - Errors that a person can act on are *Error, with the class that decides the exit code and a
//     hint that names the next step.
//
// # Decisions
//
//   - Times are time.Time in UTC; zero times are left out of the JSON, because "never" is not a date.
//   - States, reasons and tiers are strings from closed lists (policy and swarm own them), so that a
//     reader of the JSON needs no table of numbers.
package api
