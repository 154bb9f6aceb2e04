// Package control is the local API of a running node: HTTP with JSON over two unix sockets. The server
// gives an api.Service to those who have the right; the client is an api.Service.
//
//	status.sock   questions only     its user and root; a group or everybody if the node is told so
//	admin.sock    everything         its user and root; the members of one group if there is one
//
// # Invariants
//
//   - No TCP: nothing of this can be reached from the network or from a web page, but for one thing: the methods
//     of api.Carrier, on a stream that the transport has given to a machine which signed policy makes a carrier
//     (visit.go). Whoever serves such a stream hands over a carrier that refuses what is not for visitors.
//   - Who calls is what the kernel says (SO_PEERCRED and its like), asked on every connection before a
//     byte of it is read, and logged. The mode of the file is the first lock, this is the second.
//   - The status socket answers what is listed as read only; a new route is for admins until listed.
//   - No caller names a path, a URL or a command: a file to import arrives as bytes.
//   - Bodies are bounded; errors arrive as what they were, with class and hint.
//   - A passphrase travels in the body of a request, never in an argument, a header or a log.
//
// # Decisions
//
//   - HTTP, because framing, streaming of an import and cancellation are solved there.
//   - One route per method of the Service, all POST with a JSON body: the table in route.go is all there is.
//   - Where the system does not tell who calls, the sockets are for the owner of the folder alone.
//   - Orders are logged with their caller as information, questions only for debugging: they are asked
//     every second by whoever watches.
package control
