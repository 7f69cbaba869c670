package itip

import "github.com/calfed/calfed/gateway/cua"

// SelectAttendees returns body with only those ATTENDEE lines of the main components that keep accepts; all other
// bytes stay as they are. keep is asked with the zero Address about a line whose address cannot be read. When every line
// stays, the result is body itself. body may be as long as 64 MiB. Errors are *Error. IS-SEND-3.
func SelectAttendees(body []byte, keep func(cua.Address) bool) ([]byte, error) {
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
		if l.name != "ATTENDEE" || n.depth() != 2 || !isMain(n.open[1]) {
			continue
		}
		addr, _ := cua.Parse(l.value)
		if !keep(addr) {
			out = append(out, body[taken:l.start]...)
			taken = l.end
		}
	}
	if taken == 0 {
		return body, nil
	}
	return append(out, body[taken:]...), nil
}
