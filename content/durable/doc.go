// Package durable makes names on disk durable.
//
// A file that was synced is not there yet after a power cut: its name stands in its folder, and the
// folder has to be synced too. Everything in this project that promises to have kept something does
// both, and this is the second half.
//
// # Decisions
//
//   - It lives below content because that is the lowest place from which both the stores and the leaves
//     of node may import.
//   - A failed sync is never tried again on the same file or folder: the second one may succeed without
//     having written what the first one lost. Callers give up what they wrote.
package durable
