package dkim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
)

// Proves: IS-DKIM-7
func TestCheckTime(t *testing.T) {
	optional := dkim.Rules{TimeOptional: true}
	for _, tc := range []struct {
		name  string
		t, x  time.Duration // from now; none = absent
		rules dkim.Rules
		want  string
	}{
		{"signed now", 0, 5 * time.Minute, dkim.Rules{}, ""},
		{"t= 5 min ahead", 5 * time.Minute, none, dkim.Rules{}, ""},
		{"t= more than 5 min ahead", 5*time.Minute + time.Second, none, dkim.Rules{}, dkim.ReasonFuture},
		{"no x=: 1 h and the grace", -time.Hour - time.Minute, none, dkim.Rules{}, ""},
		{"no x=: a second later", -time.Hour - time.Minute - time.Second, none, dkim.Rules{}, dkim.ReasonExpired},
		{"maxAge shorter", -11*time.Minute - time.Second, none, dkim.Rules{MaxAge: 10 * time.Minute}, dkim.ReasonExpired},
		{"maxAge longer", -90 * time.Minute, none, dkim.Rules{MaxAge: 2 * time.Hour}, ""},
		{"x= passed, within the grace", -5 * time.Minute, -time.Minute, dkim.Rules{}, ""},
		{"x= passed", -5 * time.Minute, -time.Minute - time.Second, dkim.Rules{}, dkim.ReasonExpired},
		{"x= far ahead does not stretch maxAge", -2 * time.Hour, 24 * time.Hour, dkim.Rules{}, dkim.ReasonExpired},
		{"x= equal to t=", 0, 0, dkim.Rules{}, dkim.ReasonExpired},
		{"x= before t=", 4 * time.Minute, 3 * time.Minute, dkim.Rules{}, dkim.ReasonExpired},
		{"no t=", none, 5 * time.Minute, dkim.Rules{}, dkim.ReasonTimeMissing},
		{"neither", none, none, dkim.Rules{}, dkim.ReasonTimeMissing},
		{"no t= where optional: x= governs", none, 5 * time.Minute, optional, ""},
		{"no t= where optional, x= passed", none, -time.Minute - time.Second, optional, dkim.ReasonExpired},
		{"neither, where optional", none, none, optional, ""},
		{"t= where optional still counts", -2 * time.Hour, none, optional, dkim.ReasonExpired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := timed(t, tc.t, tc.x).CheckTime(now, tc.rules)
			if got := reasonOf(t, err); got != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// Replay memory must outlast what is accepted.
//
// Proves: IS-DKIM-7
func TestAcceptedUntil(t *testing.T) {
	for _, tc := range []struct {
		name  string
		t, x  time.Duration
		rules dkim.Rules
		want  time.Time
	}{
		{"x= first", 0, 5 * time.Minute, dkim.Rules{}, now.Add(6 * time.Minute)},
		{"maxAge first", 0, 5 * time.Hour, dkim.Rules{}, now.Add(61 * time.Minute)},
		{"maxAge of the rules", 0, none, dkim.Rules{MaxAge: time.Minute}, now.Add(2 * time.Minute)},
		{"x= alone", none, time.Hour, dkim.Rules{TimeOptional: true}, now.Add(61 * time.Minute)},
		{"neither", none, none, dkim.Rules{TimeOptional: true}, time.Time{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := timed(t, tc.t, tc.x).AcceptedUntil(tc.rules); !got.Equal(tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

const none = time.Duration(1<<63 - 1)

func timed(t *testing.T, signed, expires time.Duration) *dkim.Signature {
	t.Helper()
	value := minimal
	if signed != none {
		value += fmt.Sprintf("; t=%d", now.Add(signed).Unix())
	}
	if expires != none {
		value += fmt.Sprintf("; x=%d", now.Add(expires).Unix())
	}
	sig, err := dkim.ParseSignature(value)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// Proves: IS-DKIM-8
func TestAlignedWith(t *testing.T) {
	for _, tc := range []struct {
		name, d, originator string
		thirdParty          []string
		want                bool
	}{
		{"equal", "sender.example", "sender.example", nil, true},
		{"equal in another case", "Sender.Example", "SENDER.example", nil, true},
		{"parent", "sender.example", "cal.sender.example", nil, true},
		{"child", "cal.sender.example", "sender.example", nil, false},
		{"only ends alike", "der.example", "sender.example", nil, false},
		{"unrelated", "evil.example", "sender.example", nil, false},
		{"a public suffix", "co.uk", "sender.co.uk", nil, false},
		{"a public suffix itself", "co.uk", "co.uk", nil, false},
		{"a private-section suffix", "github.io", "sender.github.io", nil, false},
		{"below a private-section suffix", "sender.github.io", "sender.github.io", nil, true},
		{"an unlisted top level", "example", "sender.example", nil, false},
		{"a single label", "localhost", "localhost", nil, false},
		{"a third party that is listed", "mailer.example", "sender.example", []string{"x.example", "Mailer.example"}, true},
		{"a child of a listed third party", "a.mailer.example", "sender.example", []string{"mailer.example"}, false},
		{"no originator", "sender.example", "", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sig, err := dkim.ParseSignature("v=1; a=rsa-sha256; s=sel; h=Originator; bh=eA==; b=eA==; d=" + tc.d)
			if err != nil {
				t.Fatal(err)
			}
			want := dkim.ReasonAlignment
			if tc.want {
				want = ""
			}
			if err := sig.AlignedWith(tc.originator, tc.thirdParty); reasonOf(t, err) != want {
				t.Errorf("got %v", err)
			}
		})
	}
}
