package ischedule_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/ischedule"
)

// Proves: IS-STAT-1
func TestStatusCodes(t *testing.T) {
	for _, tc := range []struct {
		status  ischedule.RequestStatus
		want    string
		success bool
	}{
		{ischedule.StatusDelivered, "2.0;Success", true},
		{ischedule.StatusMailed, "1.1;Sent by mail", true},
		{ischedule.StatusQueued, "1.0;Queued; outcome pending", true},
		{ischedule.StatusUnknownUser, "3.7;Invalid calendar user", false},
		{ischedule.StatusNoAuthority, "3.8;No authority", false},
		{ischedule.StatusUnsupported, "3.14;Unsupported capability", false},
		{ischedule.StatusUnavailable, "5.1;Service unavailable", false},
		{ischedule.StatusNoService, "5.2;Invalid calendar service", false},
		{ischedule.StatusNoScheduling, "5.3;No scheduling support for user", false},
		{ischedule.StatusUnknownUser.WithText(""), "3.7", false},
		{ischedule.StatusDelivered.WithText("ok"), "2.0;ok", true},
	} {
		if tc.status.String() != tc.want || tc.status.Success() != tc.success {
			t.Errorf("%q %v, want %q %v", tc.status, tc.status.Success(), tc.want, tc.success)
		}
		again, err := ischedule.ParseRequestStatus(tc.want)
		if err != nil || again != tc.status {
			t.Errorf("%q reads as %+v, %v", tc.want, again, err)
		}
	}
	if (ischedule.RequestStatus{}).Success() {
		t.Error("no status is a success")
	}
}

// Proves: IS-SEND-5
func TestParseRequestStatus(t *testing.T) {
	for in, want := range map[string]ischedule.RequestStatus{
		"2.0":                    {Code: "2.0"},
		" 2.0 ; Success ":        {Code: "2.0", Text: "Success"},
		"3.7;":                   {Code: "3.7"},
		"2.0.1;x;ATTENDEE:a":     {Code: "2.0.1", Text: "x;ATTENDEE:a"},
		"5.1;a\r\nb\x1b[31m":     {Code: "5.1", Text: "a b[31m"},
		"5.1;\xffa":              {Code: "5.1", Text: "a"},
		"\n3.14;Unsupported\n\t": {Code: "3.14", Text: "Unsupported"},
	} {
		got, err := ischedule.ParseRequestStatus(in)
		if err != nil || got != want {
			t.Errorf("%q reads as %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", ";", "2", "2.", ".0", "2.0.0.0", "a.b", "2,0", "-2.0", "1000.0", "2.0 Success", "２.０"} {
		if got, err := ischedule.ParseRequestStatus(in); !errors.Is(err, ischedule.ErrRequestStatus) {
			t.Errorf("%q reads as %+v, %v", in, got, err)
		}
	}
	if got, err := ischedule.ParseRequestStatus("2.0;" + strings.Repeat("x", 1<<20)); err != nil || len(got.Text) > 1024 {
		t.Errorf("%d octets of text, %v", len(got.Text), err)
	}
}

func TestRequestStatusRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ischedule.RequestStatus{
			Code: rapid.StringMatching(`[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?`).Draw(t, "code"),
			Text: rapid.StringMatching(`([!-~](é? ?[!-~]){0,20})?`).Draw(t, "text"),
		}
		got, err := ischedule.ParseRequestStatus(s.String())
		if err != nil || got != s {
			t.Fatalf("%q reads as %+v, %v", s, got, err)
		}
	})
}
