package itip

import "github.com/calfed/calfed/gateway/cua"

// addressBook reads each spelling of an address once and keeps the distinct addresses. Lookups are linear while there are
// few, as there nearly always are.
type addressBook struct {
	list    []cua.Address // distinct, spelled as first seen
	spelled []spelling
	bySpell map[string]int // index into spelled, once there are many
	byKey   map[string]int // index into list, likewise
}

type spelling struct {
	raw string
	at  int // index into list, -1 for what is no address
}

const fewAddresses = 16

// read returns the address spelled raw, and adds it to the distinct ones.
func (b *addressBook) read(raw string) (cua.Address, bool) {
	at, ok := b.find(raw)
	if !ok {
		at = b.add(raw)
	}
	if at < 0 {
		return cua.Address{}, false
	}
	return b.list[at], true
}

func (b *addressBook) find(raw string) (int, bool) {
	if b.bySpell != nil {
		i, ok := b.bySpell[raw]
		if !ok {
			return 0, false
		}
		return b.spelled[i].at, true
	}
	for i := range b.spelled {
		if b.spelled[i].raw == raw {
			return b.spelled[i].at, true
		}
	}
	return 0, false
}

// add reads a new spelling and returns its place in list.
func (b *addressBook) add(raw string) int {
	at := -1
	if addr, err := cua.Parse(raw); err == nil {
		if at = b.known(addr); at < 0 {
			if b.list == nil {
				b.list = make([]cua.Address, 0, fewAddresses)
				b.spelled = make([]spelling, 0, fewAddresses)
			}
			at = len(b.list)
			b.list = append(b.list, addr)
			if b.byKey != nil {
				b.byKey[addr.Key()] = at
			}
		}
	}
	b.spelled = append(b.spelled, spelling{raw, at})
	switch {
	case b.bySpell != nil:
		b.bySpell[raw] = len(b.spelled) - 1
	case len(b.spelled) > fewAddresses:
		b.index()
	}
	return at
}

// index goes over to maps.
func (b *addressBook) index() {
	b.bySpell = make(map[string]int, 4*fewAddresses)
	b.byKey = make(map[string]int, 4*fewAddresses)
	for i := range b.spelled {
		b.bySpell[b.spelled[i].raw] = i
	}
	for i := range b.list {
		b.byKey[b.list[i].Key()] = i
	}
}

func (b *addressBook) known(addr cua.Address) int {
	if b.byKey != nil {
		if at, ok := b.byKey[addr.Key()]; ok {
			return at
		}
		return -1
	}
	for i := range b.list {
		if b.list[i].Equal(addr) {
			return i
		}
	}
	return -1
}

func contains(list []cua.Address, addr cua.Address) bool {
	for i := range list {
		if list[i].Equal(addr) {
			return true
		}
	}
	return false
}
