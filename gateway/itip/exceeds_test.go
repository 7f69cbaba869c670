package itip_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// Proves: IS-CAP-4, IS-CAP-6, IS-ITIP-3
func TestExceeds(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 12, d, 0, 0, 0, 0, time.UTC) }
	for _, tt := range []struct {
		name         string
		message      itip.Message
		capabilities ischedule.Capabilities
		want         string // reason
	}{
		{"no limits", itip.Message{Earliest: day(1), Latest: day(2), Count: 1000, Endless: true}, ischedule.Capabilities{}, ""},
		{"a message that is listed", itip.Message{}, ischedule.Capabilities{Messages: []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}}}, ""},
		{"a method that is not", itip.Message{}, ischedule.Capabilities{Messages: []ischedule.Component{{Name: "VEVENT", Methods: []string{"REPLY"}}}}, "message-not-supported"},
		{"a component that is not", itip.Message{}, ischedule.Capabilities{Messages: []ischedule.Component{{Name: "VTODO", Methods: []string{"REQUEST"}}}}, "message-not-supported"},
		{"inline where external is taken", itip.Message{InlineAttachment: true}, ischedule.Capabilities{Attachments: ischedule.Attachments{External: true}}, "attachment-type-not-supported"},
		{"external where inline is taken", itip.Message{ExternalAttachment: true}, ischedule.Capabilities{Attachments: ischedule.Attachments{Inline: true}}, "attachment-type-not-supported"},
		{"both taken", itip.Message{InlineAttachment: true, ExternalAttachment: true}, ischedule.Capabilities{Attachments: ischedule.Attachments{Inline: true, External: true}}, ""},
		{"on the first day", itip.Message{Earliest: day(1)}, ischedule.Capabilities{MinDateTime: day(1)}, ""},
		{"before the first day", itip.Message{Earliest: day(1)}, ischedule.Capabilities{MinDateTime: day(2)}, "min-date-time"},
		{"no date at all", itip.Message{}, ischedule.Capabilities{MinDateTime: day(2), MaxDateTime: day(3)}, ""},
		{"on the last day", itip.Message{Latest: day(3)}, ischedule.Capabilities{MaxDateTime: day(3)}, ""},
		{"after the last day", itip.Message{Latest: day(4)}, ischedule.Capabilities{MaxDateTime: day(3)}, "max-date-time"},
		{"as many instances", itip.Message{Count: 10}, ischedule.Capabilities{MaxInstances: 10}, ""},
		{"one instance more", itip.Message{Count: 11}, ischedule.Capabilities{MaxInstances: 10}, "max-instances"},
		{"no end of instances", itip.Message{Endless: true}, ischedule.Capabilities{MaxInstances: 10}, "max-instances"},
		{"an RSCALE that is listed", itip.Message{RScales: []string{"CHINESE"}}, ischedule.Capabilities{RScales: []string{"GREGORIAN", "CHINESE"}}, ""},
		{"an RSCALE that is not", itip.Message{RScales: []string{"CHINESE"}}, ischedule.Capabilities{RScales: []string{"GREGORIAN"}}, "rscale-not-supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.message.Component, tt.message.Method = "VEVENT", "REQUEST"
			got := ""
			if x := tt.message.Exceeds(&tt.capabilities); x != nil {
				got = x.Reason
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A rule's text does not get into an answer unless it is a name.
func TestExceedsNamesTheRScale(t *testing.T) {
	for scale, want := range map[string]string{"HEBREW": "RSCALE=HEBREW is not taken", "A B<": "an RSCALE is not taken"} {
		m := itip.Message{Component: "VEVENT", Method: "REQUEST", RScales: []string{scale}}
		if x := m.Exceeds(&ischedule.Capabilities{}); x == nil || x.Detail != want {
			t.Errorf("%q: %+v, want %q", scale, x, want)
		}
	}
}
