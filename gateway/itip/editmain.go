package itip

// editMain returns body with some lines that stand directly in main components written otherwise: edit says which, and what
// takes their place. All other bytes stay as they are; without a change the result is body itself.
func editMain(body []byte, edit func(l *contentLine) (instead []byte, changed bool)) ([]byte, error) {
	var (
		o     outline
		l     contentLine
		out   []byte
		taken int // bytes of body that out already reflects
	)
	if err := o.init(body); err != nil {
		return nil, err
	}
	for {
		ok, err := o.next(&l)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if o.depth() != 2 || !isMain(o.open[1]) {
			continue
		}
		if instead, changed := edit(&l); changed {
			out = append(append(out, body[taken:l.start]...), instead...)
			taken = l.end
		}
	}
	if taken == 0 {
		return body, nil
	}
	return append(out, body[taken:]...), nil
}
