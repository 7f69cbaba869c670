package load

import "time"

// pace is a schedule: message n is due n/perSecond after the start. It does not move when messages are late, so the rate
// holds on average.
type pace struct {
	start     time.Time
	perSecond float64 // 0 = nothing is due
	sent      int
}

func newPace(now time.Time, perSecond float64) pace { return pace{start: now, perSecond: perSecond} }

// due is when the next message goes, if ever.
func (p *pace) due() (time.Time, bool) {
	if p.perSecond <= 0 {
		return time.Time{}, false
	}
	return p.start.Add(time.Duration(float64(p.sent+1) / p.perSecond * float64(time.Second))), true
}
