package itip

// WithoutNotes returns body without what Apply noted for one calendar user: the proposals of attendees, who wrote them to the organizer
// alone, and when who answered. A calendar server would tell all attendees with its next message. All other bytes stay as they are; when
// there are no notes the result is body itself. body may be as long as 64 MiB. Errors are *Error.
func WithoutNotes(body []byte) ([]byte, error) {
	var (
		s     scanner
		l     contentLine
		n     nesting
		out   []byte
		taken int // bytes of body that out already reflects
	)
	if err := s.init(body, sized(body)); err != nil {
		return nil, err
	}
	for {
		ok, err := s.next(&l)
		if err == nil && ok {
			_, err = n.take(&l, s.lim)
		}
		if err == nil && !ok {
			err = n.done()
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if l.name != "COMMENT" && l.name != "ATTENDEE" || n.depth() != 2 || !isMain(n.open[1]) {
			continue
		}
		p := property{contentLine: l}
		switch {
		case p.isNote():
			out = append(out, body[taken:l.start]...)
		case p.param(replyStamp) != "":
			out = append(out, body[taken:l.start]...)
			out = append(out, p.withoutParams(func(name string) bool { return name == replyStamp }).raw...)
		default:
			continue
		}
		taken = l.end
	}
	if taken == 0 {
		return body, nil
	}
	return append(out, body[taken:]...), nil
}
