package receiver_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// busyAnswer is what a talkative back end says about everybody.
const busyAnswer = `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//secret//server 1.2.3//EN
METHOD:REPLY
BEGIN:VFREEBUSY
UID:inner
DTSTAMP:20261122T110000Z
DTSTART:20261124T000000Z
DTEND:20261128T000000Z
ORGANIZER:mailto:service-account@internal.example
ATTENDEE:mailto:guest@gw.example
COMMENT:at the dentist
X-ROOM:4711
FREEBUSY;FBTYPE=BUSY;X-SUMMARY=Dentist:20261125T090000Z/PT1H
FREEBUSY;FBTYPE=BUSY-TENTATIVE:20261125T095000Z/20261125T110000Z
FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20261125T200000Z/PT2H
FREEBUSY;FBTYPE=FREE:20261125T120000Z/PT1H
FREEBUSY:20261127T090000Z/PT1H
END:VFREEBUSY
END:VCALENDAR
`

func talkative(_ context.Context, d *backend.Delivery) ([]backend.Result, error) {
	var out []backend.Result
	for _, a := range d.Recipients {
		data := strings.Replace(crlf(busyAnswer), "mailto:guest@gw.example", a.URI(), 1)
		out = append(out, backend.Result{Recipient: a, Status: ischedule.StatusDelivered, CalendarData: []byte(data)})
	}
	return out, nil
}

// The answer to a free/busy question is written anew: asked UID and parties, asked range, periods as far as the
// policy shows them, and nothing else the back end said.
//
// Proves: IS-BACK-5, IS-BACK-6, IS-RECV-8
func TestFreeBusyAnswer(t *testing.T) {
	for _, tt := range []struct {
		level snapshot.FreeBusy
		want  []string
	}{
		{"", []string{"FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T110000Z", "FREEBUSY;FBTYPE=BUSY:20261125T200000Z/20261125T220000Z"}},
		{snapshot.FreeBusyBusyOnly, []string{"FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T110000Z", "FREEBUSY;FBTYPE=BUSY:20261125T200000Z/20261125T220000Z"}},
		{snapshot.FreeBusyFull, []string{
			"FREEBUSY;FBTYPE=BUSY:20261125T090000Z/20261125T100000Z", "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20261125T095000Z/20261125T110000Z",
			"FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20261125T200000Z/20261125T220000Z", "FREEBUSY;FBTYPE=FREE:20261125T120000Z/20261125T130000Z",
		}},
	} {
		t.Run("level "+string(tt.level), func(t *testing.T) {
			w := newWorld(t, senderPolicy(func(in *snapshot.Inbound) { in.FreeBusy = tt.level }))
			w.gw.answer = talkative
			resp := w.do(question(t, "1", "20261125T000000Z", "20261126T000000Z", "mailto:guest@GW.example").request(t))
			data := calendarData(t, resp)["mailto:guest@GW.example"]
			unfolded := strings.ReplaceAll(data, "\r\n ", "")
			var periods []string
			for line := range strings.SplitSeq(unfolded, "\r\n") {
				if head, values, _ := strings.Cut(line, ":"); strings.HasPrefix(line, "FREEBUSY") {
					for v := range strings.SplitSeq(values, ",") {
						periods = append(periods, head+":"+v)
					}
				}
			}
			if d := cmp.Diff(slices.Sorted(slices.Values(tt.want)), slices.Sorted(slices.Values(periods))); d != "" {
				t.Errorf("periods (-want +got):\n%s", d)
			}
			for _, want := range []string{"METHOD:REPLY", "UID:uid-1", "ORGANIZER:mailto:boss@sender.example", "ATTENDEE:mailto:guest@GW.example",
				"DTSTART:20261125T000000Z", "DTEND:20261126T000000Z", "DTSTAMP:20261122T120000Z"} {
				if !strings.Contains(unfolded, want+"\r\n") {
					t.Errorf("no %s in\n%s", want, unfolded)
				}
			}
			for _, secret := range []string{"secret", "inner", "internal", "dentist", "Dentist", "X-"} {
				if strings.Contains(unfolded, secret) {
					t.Errorf("%s leaked:\n%s", secret, unfolded)
				}
			}
		})
	}
}

// What a back end says of somebody else is no answer.
//
// Proves: IS-BACK-5
func TestFreeBusyOfAnother(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = func(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
		out, err := talkative(ctx, d)
		out[0].CalendarData = []byte(crlf(strings.Replace(busyAnswer, "mailto:guest@", "mailto:amy@", 1)))
		return out, err
	}
	resp := w.do(question(t, "1", "20261125T000000Z", "20261126T000000Z", guest).request(t))
	if body := readAll(t, resp); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "FREEBUSY") {
		t.Errorf("%d\n%s", resp.StatusCode, body)
	}
}

// calendarData is the calendar-data of each recipient.
func calendarData(t *testing.T, resp *http.Response) map[string]string {
	t.Helper()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(t, resp)); err != nil {
		t.Fatal(err)
	}
	r, err := ischedule.ReadResponse([]byte(b.String()))
	if err != nil {
		t.Fatalf("%v: %d %s", err, resp.StatusCode, b.String())
	}
	out := map[string]string{}
	for _, res := range r.Results {
		out[res.Recipient] = string(res.CalendarData)
	}
	return out
}

// The asked range is at most 62 days; Deny refuses without asking the back end.
//
// Proves: IS-BACK-6
func TestFreeBusyRefused(t *testing.T) {
	const guest, amy = "mailto:guest@gw.example", "mailto:amy@two.example"
	deny := func(w *world) { w.policy("sender").Inbound.FreeBusy = snapshot.FreeBusyDeny }
	denyTwo := func(w *world) {
		w.snap.Policies = append(w.snap.Policies, snapshot.Policy{ID: "test/shy", Peers: []string{"sender.example"}, Action: snapshot.Allow,
			Inbound: snapshot.Inbound{FreeBusy: snapshot.FreeBusyDeny}})
		w.snap.Domains[2].Policies = []string{"test/shy"}
	}
	for _, tt := range []struct {
		name string
		edit func(*world)
		mail *mail
		want string
	}{
		{"62 days", nil, question(t, "1", "20261125T000000Z", "20270126T000000Z", guest), "200 " + guest + " 2.0"},
		{"62 days and a second", nil, question(t, "1", "20261125T000000Z", "20270126T000001Z", guest), "403 invalid-scheduling-message"},
		{"a year", nil, question(t, "1", "20261125T000000Z", "20271125T000000Z", guest), "403 invalid-scheduling-message"},
		{"denied", deny, question(t, "1", "20261125T000000Z", "20261126T000000Z", guest), "403 originator-denied"},
		{"denied for one of two domains", denyTwo, question(t, "1", "20261125T000000Z", "20261126T000000Z", guest, amy), "200 " + guest + " 2.0 " + amy + " 3.8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var edits []func(*world)
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			w := newWorld(t, edits...)
			w.gw.answer = talkative
			if got := w.send(tt.mail); got != tt.want {
				t.Errorf("%s (%s), want %s", got, w.reason(), tt.want)
			}
			if !strings.HasPrefix(tt.want, "200") {
				w.undelivered()
			}
			if len(w.two.deliveries()) > 0 {
				t.Error("a user whom the policy denies was asked about")
			}
		})
	}
}

// One Originator may not watch one user; asking about another is not affected.
//
// Proves: IS-BACK-6
func TestFreeBusyRate(t *testing.T) {
	w := newWorld(t)
	w.gw.answer = talkative
	ask := func(n int, recipients ...string) string {
		return w.send(question(t, fmt.Sprintf("%d-%d", n, len(recipients)), "20261125T000000Z", "20261126T000000Z", recipients...))
	}
	n, last := 0, delivered
	for ; n < 100 && last == delivered; n++ {
		last = ask(n, "mailto:guest@gw.example")
	}
	if last != "429" || n < 10 || n > 60 {
		t.Errorf("question %d: %s", n, last)
	}
	if got, want := ask(101, "mailto:guest@gw.example", "mailto:guest2@gw.example"), "200 mailto:guest@gw.example 5.1 mailto:guest2@gw.example 2.0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	other := question(t, "other", "20261125T000000Z", "20261126T000000Z", "mailto:guest@gw.example").set("Originator", "mailto:ann@sender.example")
	other.body = strings.Replace(other.body, "boss@sender", "ann@sender", 1)
	if got := w.send(other); got != delivered {
		t.Errorf("another Originator: %s", got)
	}
	w.now = w.now.Add(3 * time.Second)
	again := question(t, "later", "20261125T000000Z", "20261126T000000Z", "mailto:guest@gw.example")
	again.signedAt = w.now
	if got := w.send(again); got != delivered {
		t.Errorf("three seconds later: %s", got)
	}
}

// A question to two back ends reaches each with its own ATTENDEEs only; other messages arrive as they came.
//
// Proves: IS-RECV-11, IS-SEND-3
func TestFreeBusySplit(t *testing.T) {
	w := newWorld(t)
	w.gw.answer, w.two.answer = talkative, talkative
	m := question(t, "1", "20261125T000000Z", "20261126T000000Z", "mailto:guest@gw.example", "mailto:amy@two.example", "mailto:eve@foreign.example")
	if got, want := w.send(m), "200 mailto:guest@gw.example 2.0 mailto:amy@two.example 2.0 mailto:eve@foreign.example 3.7"; got != want {
		t.Fatalf("%s (%s), want %s", got, w.reason(), want)
	}
	for _, s := range []struct {
		spy   *spy
		drop  []string
		whose string
	}{
		{w.gw, []string{"ATTENDEE:mailto:amy@two.example\r\n", "ATTENDEE:mailto:eve@foreign.example\r\n"}, "mailto:guest@gw.example"},
		{w.two, []string{"ATTENDEE:mailto:guest@gw.example\r\n", "ATTENDEE:mailto:eve@foreign.example\r\n"}, "mailto:amy@two.example"},
	} {
		d := s.spy.deliveries()[0]
		want := m.body
		for _, line := range s.drop {
			want = strings.Replace(want, line, "", 1)
		}
		if diff := cmp.Diff(want, string(d.Body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.whose, diff)
		}
		if len(d.Message.Attendees) != 1 || !d.Message.Attendees[0].Equal(cua.MustParse(s.whose)) {
			t.Errorf("the inspection is of another body: %v", d.Message.Attendees)
		}
	}
	whole := question(t, "2", "20261125T000000Z", "20261126T000000Z", "mailto:guest@gw.example", "mailto:guest2@gw.example")
	w.send(whole)
	if got := string(w.gw.deliveries()[1].Body); got != whole.body {
		t.Errorf("a question to one back end was changed:\n%s", got)
	}
}

// A back end that answers nonsense about a user's time is not passed on.
//
// Proves: IS-BACK-5
func TestFreeBusyUnreadable(t *testing.T) {
	w := newWorld(t)
	for i, data := range []string{"", "<html>", crlf(strings.Replace(busyAnswer, "PT1H", "soon", 1))} {
		w.gw.answer = func(_ context.Context, d *backend.Delivery) ([]backend.Result, error) {
			return []backend.Result{
				{Recipient: d.Recipients[0], Status: ischedule.StatusDelivered, CalendarData: []byte(data)},
				{Recipient: d.Recipients[1], Status: ischedule.StatusUnknownUser, CalendarData: []byte("secret")},
			}, nil
		}
		resp := w.do(question(t, fmt.Sprint(i), "20261125T000000Z", "20261126T000000Z", "mailto:guest@gw.example", "mailto:guest2@gw.example").request(t))
		body := readAll(t, resp)
		if strings.Contains(body, "calendar-data") || !strings.Contains(body, ">5.1") {
			t.Errorf("%q: %s", data, body)
		}
		if log := w.log.String(); strings.Count(log, `msg="back end failed"`) != i+1 || strings.Contains(log, "guest") || strings.Contains(log, "soon") {
			t.Errorf("%q: the log does not say so once, or says too much:\n%s", data, log)
		}
	}
}
