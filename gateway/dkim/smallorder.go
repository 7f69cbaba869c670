package dkim

import "strings"

// smallOrder are the y coordinates (little-endian, sign bit 0) of the eight points of edwards25519 whose order divides 8, the
// two non-canonical spellings included. crypto/ed25519 takes such a point for a public key, and then one signature fits
// about every eighth message or more: anybody could sign.
var smallOrder = [...]string{
	strings.Repeat("\x00", 32),
	"\x01" + strings.Repeat("\x00", 31),
	"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
	"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
	"\xec" + strings.Repeat("\xff", 30) + "\x7f",
	"\xed" + strings.Repeat("\xff", 30) + "\x7f",
	"\xee" + strings.Repeat("\xff", 30) + "\x7f",
}

// hasSmallOrder says whether a 32-byte Ed25519 public key is one of them.
func hasSmallOrder(key []byte) bool {
	y := [32]byte(key)
	y[31] &= 0x7f
	for _, s := range smallOrder {
		if string(y[:]) == s {
			return true
		}
	}
	return false
}
