package itip_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/itip"
)

func addresses(list ...string) []cua.Address {
	var out []cua.Address
	for _, s := range list {
		out = append(out, cua.MustParse(s))
	}
	return out
}

const (
	ada = "mailto:ada@sender.example"
	bob = "mailto:bob@receiver.example"
	eve = "mailto:eve@evil.example"
)

// Proves: IS-RECV-4, IS-RECV-5, IS-ITIP-5
func TestCheckParties(t *testing.T) {
	for _, c := range []struct {
		name       string
		body       []byte
		originator string
		recipients []string
		want       *itip.PartyError
	}{
		{"REQUEST from the organizer to an attendee", event(), ada, []string{bob}, nil},
		{"spelled another way", event(), "ada@SENDER.example", []string{"MAILTO:%62ob@Receiver.example"}, nil},
		{"ADD", message("ADD", "VEVENT"), ada, []string{bob}, nil},
		{"CANCEL", message("CANCEL", "VEVENT"), ada, []string{bob}, nil},
		{"DECLINECOUNTER", message("DECLINECOUNTER", "VEVENT"), ada, []string{bob}, nil},
		{"REPLY", message("REPLY", "VEVENT"), bob, []string{ada}, nil},
		{"REFRESH", message("REFRESH", "VEVENT"), bob, []string{ada}, nil},
		{"COUNTER", message("COUNTER", "VEVENT"), bob, []string{ada}, nil},
		{"a subset of the attendees", event("ATTENDEE:" + eve), ada, []string{bob}, nil},
		{"a forwarded REQUEST", event("ATTENDEE:" + eve), bob, []string{eve}, &itip.PartyError{Originator: true}},
		{"CANCEL from an attendee", message("CANCEL", "VEVENT"), bob, []string{bob}, &itip.PartyError{Originator: true}},
		{"ADD from an attendee", message("ADD", "VEVENT"), bob, []string{bob}, &itip.PartyError{Originator: true}},
		{"DECLINECOUNTER from an attendee", message("DECLINECOUNTER", "VEVENT"), bob, []string{bob}, &itip.PartyError{Originator: true}},
		{"SENT-BY does not make an organizer", event("-ORGANIZER", `ORGANIZER;SENT-BY="mailto:eve@evil.example":`+ada), eve, []string{bob}, &itip.PartyError{Originator: true}},
		{"SENT-BY does not make an attendee", message("REPLY", "VEVENT", "-ATTENDEE", `ATTENDEE;SENT-BY="mailto:eve@evil.example":`+bob), eve, []string{ada}, &itip.PartyError{Originator: true}},
		{"REPLY from the organizer", message("REPLY", "VEVENT"), ada, []string{ada}, &itip.PartyError{Originator: true}},
		{"REFRESH from a stranger", message("REFRESH", "VEVENT"), eve, []string{ada}, &itip.PartyError{Originator: true}},
		{"COUNTER from a stranger", message("COUNTER", "VEVENT"), eve, []string{ada}, &itip.PartyError{Originator: true}},
		{"REQUEST to somebody else", event(), ada, []string{bob, eve}, &itip.PartyError{Recipients: addresses(eve)}},
		{"REQUEST to the organizer", event(), ada, []string{ada}, &itip.PartyError{Recipients: addresses(ada)}},
		{"REPLY to another attendee", message("REPLY", "VEVENT"), bob, []string{ada, eve}, &itip.PartyError{Recipients: addresses(eve)}},
		{"an attendee of an alarm is no recipient", event("BEGIN:VALARM", "ATTENDEE:"+eve, "END:VALARM"), ada, []string{eve}, &itip.PartyError{Recipients: addresses(eve)}},
		{"free/busy of exactly the attendees", message("REQUEST", "VFREEBUSY", "ATTENDEE:"+eve), ada, []string{eve, bob}, nil},
		{"free/busy of fewer", message("REQUEST", "VFREEBUSY", "ATTENDEE:"+eve), ada, []string{bob}, &itip.PartyError{Missing: addresses(eve)}},
		{"free/busy of more", message("REQUEST", "VFREEBUSY"), ada, []string{bob, eve}, &itip.PartyError{Recipients: addresses(eve)}},
		{"free/busy asked by an attendee", message("REQUEST", "VFREEBUSY"), bob, []string{bob}, &itip.PartyError{Originator: true}},
		{"free/busy answered", message("REPLY", "VFREEBUSY"), bob, []string{ada}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := inspect(t, c.body).CheckParties(cua.MustParse(c.originator), addresses(c.recipients...))
			var got *itip.PartyError
			if err != nil && !errors.As(err, &got) {
				t.Fatalf("%T is no *PartyError", err)
			}
			if diff := cmp.Diff(c.want, got, cmpAddress); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Proves: IS-RECV-4
func TestNobodyIsNoOriginator(t *testing.T) {
	for _, method := range []string{"REQUEST", "REPLY"} {
		if err := inspect(t, message(method, "VEVENT")).CheckParties(cua.Address{}, nil); err == nil {
			t.Errorf("%s without originator passes", method)
		}
	}
}

// Proves: IS-RECV-5
func TestManyParties(t *testing.T) {
	var lines []string
	var recipients []cua.Address
	for i := range 300 {
		a := fmt.Sprintf("mailto:a%d@receiver.example", i)
		lines = append(lines, "ATTENDEE:"+a)
		recipients = append(recipients, cua.MustParse(a))
	}
	m := inspect(t, message("REQUEST", "VFREEBUSY", append(lines, "-ATTENDEE")...))
	if err := m.CheckParties(cua.MustParse(ada), recipients); err != nil {
		t.Error(err)
	}
	var e *itip.PartyError
	if err := m.CheckParties(cua.MustParse(ada), append(recipients[1:300:300], cua.MustParse(eve))); !errors.As(err, &e) || len(e.Recipients) != 1 || len(e.Missing) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestOrganizerSends(t *testing.T) {
	for method, want := range map[string]bool{
		"REQUEST": true, "ADD": true, "CANCEL": true, "DECLINECOUNTER": true,
		"REPLY": false, "REFRESH": false, "COUNTER": false, "PUBLISH": false, "": false,
	} {
		if got := itip.OrganizerSends(method); got != want {
			t.Errorf("%s: %v", method, got)
		}
	}
}
