package backend

// NoteEchoes tells echoes (nil = nobody) what a delivery is about to write into the calendars of its recipients, where the
// calendar system does the writing itself: messages that it applies, not those that a person decides about. IS-SUB-3.
func (d *Delivery) NoteEchoes(echoes Echoes) {
	if echoes == nil {
		return
	}
	switch d.Message.Method {
	case "REQUEST", "ADD", "CANCEL", "REPLY":
	default:
		return
	}
	if d.Message.Component == "VFREEBUSY" {
		return
	}
	for _, owner := range d.Recipients {
		echoes.Wrote(owner, d.Body)
	}
}
