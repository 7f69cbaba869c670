package itip

import "github.com/calfed/calfed/gateway/cua"

// Outcome is what applying a message to a stored object came to.
type Outcome int

const (
	Stored      Outcome = iota // the object changed
	Unchanged                  // older or equal: no change, 2.0 (IS-ITIP-5)
	Deleted                    // the whole object goes
	NoAuthority                // 3.8
	Unsupported                // 3.14: THISANDFUTURE, or a method this cannot apply
)

// Apply computes the stored object of the calendar user owner after message (whose inspection is m) arrives from originator.
// stored is the object with the same UID, nil when there is none. The result has no METHOD. Properties that
// belong to the user (VALARM, own PARTSTAT when the time did not change, X- properties of the stored
// object) are kept. IS-ITIP-4, IS-ITIP-5.
func Apply(stored, message []byte, m *Message, originator, owner cua.Address) ([]byte, Outcome, error) {
	panic("CONTRACT STUB")
}
