// Package dkim signs and verifies HTTP messages with DKIM (RFC 6376, RFC 8301, RFC 8463) in the profile
// of draft-desruisseaux-ischedule-05 §7 (D05): ischedule-relaxed header canonicalisation, simple body.
// It looks up no keys, keeps no clock, and decides nothing about who may sign for whom beyond
// what the signature itself must satisfy.
//
// A verifier takes the values that Fields returns, parses each with ParseSignature, and runs CheckStatic,
// AlignedWith, CheckTime, CheckBody and, with a key record, CheckKey; one signature that passes them
// all is enough. A signer is a Signer. draft01.go holds the older profile of one peer.
package dkim
