// Package console shows a seed's fleet in a browser on the same computer. It reads, and can do nothing else: it is given
// a Source, which has no method that changes anything, and there is no route that takes an order.
//
//	browser ── GET / ────────────────────▶ one embedded page, the same for everybody; knows nothing
//	        ── GET /status, /explain ────▶ JSON as 'patchmesh status --json' prints it; needs the token
//
// The token is made anew for each run and lies, with the address, in a file that only the user of the node can read;
// 'patchmesh console' prints the link. It stands behind the # of the link, which browsers send to nobody, and the page
// hands it back in a header, which no page of another origin can set without asking first, and the answer is no.
//
// # Attackers
//
//   - A page in an admin's browser that has its own name resolve to 127.0.0.1: Host must be the very address, so that
//     page's requests carry the wrong name. With the right one they carry the wrong Origin or Sec-Fetch-Site, and no token.
//   - A page that frames, links or embeds the console: nothing answers across origins, nothing may be framed.
//   - Another user of the computer: loopback is open to all of them, so nothing is told without the token.
//   - A machine of the fleet that puts markup into its name or a detail: the page writes text, never markup, and its
//     policy allows no script but its own, by hash.
//   - Somebody who opens connections and is silent, or sends without end: connections, headers, times and the answers
//     made at once are bounded, and a request has no body.
//
// # Decisions
//
//   - Only loopback, only a seed: an ordinary machine has no TCP listener but the mesh port, and without TLS nothing else
//     is safe. From elsewhere: a tunnel of ssh to the same port number.
//   - No cookies, so there is nothing that a browser would send by itself. The page keeps the token in memory alone.
//   - No framework and no multiplexer: three paths, compared exactly, and a method.
package console
