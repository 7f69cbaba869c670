package receiver

import (
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
)

// Where a policy hides which users exist (IS-RECV-9), an unknown user and one who refuses both answer 3.8 without a
// description, and an answer with either in it leaves only at a whole multiple of hideQuantum after delivery began, so that
// the back end's haste tells nothing.
const hideQuantum = 250 * time.Millisecond

// hides says whether the recipient's policy hides unknown users.
func hides(rc *recipient) bool {
	return rc.route != nil && rc.route.decision.Policy != nil && rc.route.decision.Policy.Inbound.HideUnknownUsers
}

// refusesUser says whether a status tells an unknown user from one who refuses.
func refusesUser(s ischedule.RequestStatus) bool {
	return s.Code == ischedule.StatusUnknownUser.Code || s.Code == ischedule.StatusNoAuthority.Code
}

// hide says whether the answer has to wait.
func (r *Receiver) hide(delivered []*recipient) bool {
	for _, rc := range delivered {
		if hides(rc) && refusesUser(rc.result.Status) {
			return true
		}
	}
	return false
}
