package itip

// WithoutNotes returns body without what Apply noted for one calendar user: the proposals of attendees, who wrote them to the organizer
// alone, and when who answered. A calendar server would tell all attendees with its next message. All other bytes stay as they are; when
// there are no notes the result is body itself. body may be as long as 64 MiB. Errors are *Error.
func WithoutNotes(body []byte) ([]byte, error) {
	return editMain(body, func(l *contentLine) ([]byte, bool) {
		if l.name != "COMMENT" && l.name != "ATTENDEE" {
			return nil, false
		}
		p := property{contentLine: *l}
		switch {
		case p.isNote():
			return nil, true
		case p.param(replyStamp) != "":
			return p.withoutParams(func(name string) bool { return name == replyStamp }).raw, true
		}
		return nil, false
	})
}
