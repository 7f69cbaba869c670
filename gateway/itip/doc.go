// Package itip inspects and judges iTIP messages (RFC 5545, RFC 5546) without building an object
// tree: one pass over the bytes, bounded in every dimension, extracts what scheduling needs. It also writes
// free/busy replies, edits objects by content line, applies a message to a stored object, and computes the time that an object takes.
//
// It never re-serialises what it did not write. It does no I/O, save that a TZID without a VTIMEZONE is read from the
// system's time zone database.
package itip
