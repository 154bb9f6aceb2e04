// Package control is the local API of a running node: HTTP with JSON over a unix socket in the data
// folder. The server gives an api.Service to whoever may open the socket; the client is an api.Service.
//
// # Invariants
//
//   - No TCP: nothing of this can be reached from the network or from a web page.
//   - The socket is 0600 in a folder of the node's user; the permission to open it is the login.
//   - No caller names a path, a URL or a command: a file to import arrives as bytes.
//   - Bodies are bounded; errors arrive as what they were, with class and hint.
//
// # Decisions
//
//   - HTTP, because framing, streaming of an import and cancellation are solved there.
//   - One route per method of the Service, all POST with a JSON body: the table in route.go is all there is.
package control
