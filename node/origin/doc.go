// Package origin fetches files over HTTP or HTTPS from a web host that nobody has to trust: what it
// brings is verified by whoever asked, against lengths and hashes or signatures. This package sees to
// it that a hostile, broken or compromised host can waste only little time, memory and disk.
//
// It knows nothing of TUF or of payloads. Get brings a small file into memory, Download streams a
// large one into a writer. Ranged fetches parts of files whose URLs stand in signed documents; its answers
// are checked to be exactly the part that was asked for of a file of exactly the signed size.
//
// # Nouns
//
//   - base: the URL of a folder, http or https, from the administrator and never from a peer.
//   - file: a name below it, escaped already (RFC 3986), with slashes between its parts.
//
// # Invariants
//
//   - A size limit is known before the first byte of an answer is read; one byte more is ErrTooLarge.
//   - Only status 200 is an answer, and 206 to Ranged. 403, 404 and 410 are ErrNotFound: static hosts answer 403 for a
//     file that is not there when listing is forbidden.
//   - A redirect leads to the same scheme, host and port, a few times at most, or is ErrRefused. Ranged
//     also follows it to hosts that were signed beside the URL, and never from TLS to plain.
//   - Ranged dials no name that stands for this machine, its link or a multicast group, judged by the
//     address at the moment of dialling.
//   - Nothing is decompressed: identity is asked for, any Content-Encoding is ErrRefused.
//   - An answer that trickles below a minimum rate over a whole window ends with ErrSlow; so no host
//     holds a fetch for longer than its size divided by that rate, and two windows.
//
// # Decisions
//
//   - net/http alone. Its transport is used as it comes, with limits on header size and every wait,
//     and without its own decompression.
//   - HTTP without TLS is allowed. The metadata is signed, and an isolated site may have no
//     certificates; TLS, where there is some, only keeps others from reading along.
//   - A proxy is taken from the environment as every Go program does.
package origin
