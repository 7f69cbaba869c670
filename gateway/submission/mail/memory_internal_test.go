package mail

import (
	"fmt"
	"testing"
	"time"
)

// However many mails are tried in vain, memory stays bounded, and what is under way stays known; the oldest is forgotten first.
//
// Proves: IS-SUB-2
func TestMemoryIsBounded(t *testing.T) {
	m, now := newMemory(), time.Now()
	mail := func(i int) *transaction {
		t := &transaction{mail: fmt.Append(nil, i)}
		for r := range 10 {
			t.recipients = append(t.recipients, &recipient{path: fmt.Sprintf("r%d@peer.example", r)})
		}
		return t
	}
	busy := m.begin(mail(-1), now)
	for i := range 5000 {
		a := m.begin(mail(i), now.Add(time.Duration(i)*time.Second))
		if a == nil {
			t.Fatalf("mail %d is under way", i)
		}
		a.of(mail(i).recipients[0]).state = inCalendar
		m.end(a, false)
		if m.recipients > maxRemembered || len(m.attempts)*10 != m.recipients {
			t.Fatalf("after %d mails: %d recipients in %d attempts", i, m.recipients, len(m.attempts))
		}
	}
	later := now.Add(5000 * time.Second)
	if m.begin(mail(-1), later) != nil {
		t.Error("a mail under way was forgotten")
	}
	if a := m.begin(mail(4999), later); a.of(mail(4999).recipients[0]).state != inCalendar {
		t.Error("the last one was forgotten")
	}
	if a := m.begin(mail(0), later); a.of(mail(0).recipients[0]).state != forSmarthost {
		t.Error("the first one was not")
	}
	m.end(busy, true)
	if _, known := m.attempts[busy.key]; known {
		t.Error("what is over stays")
	}
}
