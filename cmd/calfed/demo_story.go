package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/resolver"
)

// The people of the story.
var (
	anna  = cua.MustParse("mailto:anna@alpha.example")
	bert  = cua.MustParse("mailto:bert@beta.example")
	bea   = cua.MustParse("mailto:bea@beta.example")
	carla = cua.MustParse("mailto:carla@beta.example")
)

const teaUID = "tea@alpha.example"

// story is the plot: each chapter does something and expects what must follow.
type story struct {
	*teller
	*world

	day        time.Time // midnight of the day it is about
	stamp      time.Time // DTSTAMP of the last message
	invitation *passed   // as it went over the wire
}

func (s *story) run(ctx context.Context) error {
	now := time.Now().UTC()
	s.stamp = now
	s.day = now.Truncate(24*time.Hour).AddDate(0, 0, 7)
	for s.day.Weekday() != time.Tuesday {
		s.day = s.day.AddDate(0, 0, 1)
	}
	s.line(s.style(bold, "Two organisations, "+s.alpha.Domain+" and "+s.beta.Domain+", on this machine."))
	for _, chapter := range []func(context.Context) error{
		s.stage, s.discover, s.invite, s.reply, s.reschedule, s.busyTimes, s.cancel,
		s.stranger, s.forged, s.tampered, s.replayed, s.redirected,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) stage(context.Context) error {
	s.chapter("The stage")
	for _, o := range []*site{s.alpha, s.beta} {
		s.say("%s: gateway on %s, submissions on %s", o.Domain, o.gateway.Addrs().Public, o.gateway.Addrs().Submit)
	}
	s.say("Each was told about the other by a PeerPolicy; everybody else is refused.\nDNS leads to each by way of a wire on which we listen:")
	for line := range strings.Lines(s.zone()) {
		s.quote(short(line, 90))
	}
	s.right("two gateways are ready")
	return nil
}

func (s *story) discover(ctx context.Context) error {
	s.chapter("alpha.example looks for the calendar service of beta.example")
	dns := resolver.New(resolver.Config{Server: s.dns.Addr()})
	guard := netguard.New(netguard.Config{PeerCIDRs: loopbackOnly(), Roots: s.ca.Pool(), Resolver: dns})
	d := discovery.New(discovery.Config{DNS: dns, Guard: guard, UserAgent: "calfed/" + version})
	defer d.Close()
	found, err := d.Find(ctx, s.beta.Domain, nil)
	if err != nil {
		return err
	}
	s.quote(strings.Join(found.Steps, "\n"))
	var takes []string
	for _, c := range found.Capabilities.Messages {
		takes = append(takes, c.Name)
	}
	s.say("It takes %s, up to %d recipients and %d KiB a message; its administrator is %s.", strings.Join(takes, ", "), found.Capabilities.MaxRecipients, found.Capabilities.MaxContentLength>>10,
		strings.TrimPrefix(found.Capabilities.Administrator, "mailto:"))
	want := fmt.Sprintf("https://%s:%d%s", s.beta.Host, s.beta.wire.addr.Port, ischedule.WellKnownPath)
	return s.expect(found.URL == want, "the service was found through DNS and TLS", "it is %s", found.URL)
}

func (s *story) invite(ctx context.Context) error {
	s.chapter("Anna invites Bert and Bea to tea")
	s.say("Her calendar server hands the invitation to its gateway, with its bearer token.")
	object := s.tea("REQUEST", 0, 10)
	s.alpha.calendars.Put(anna, teaUID, withoutMethod(object))
	if err := s.submit(ctx, s.alpha, anna, object, bert, bea); err != nil {
		return err
	}
	s.invitation = s.beta.wire.recorded()
	s.say("This went over the wire, once for both of them:")
	s.showWire(s.invitation)
	s.say("beta's gateway asked DNS for alpha's key, verified, and delivered. Bert's calendar now holds:")
	if err := s.showCalendar(s.beta, bert, ""); err != nil {
		return err
	}
	return s.expect(s.holds(s.beta, bert, "DTSTART:"+s.at(10), "ATTENDEE;PARTSTAT=NEEDS-ACTION"), "the tea is there, not yet answered", "it is not")
}

func (s *story) reply(ctx context.Context) error {
	s.chapter("Bert accepts")
	s.say("His answer takes the way back: from beta's gateway, signed with beta's Ed25519 key, which alpha fetches over HTTPS.")
	if err := s.submit(ctx, s.beta, bert, s.answer(bert, "ACCEPTED"), anna); err != nil {
		return err
	}
	s.say("In Anna's calendar:")
	if err := s.showCalendar(s.alpha, anna, "ATTENDEE"); err != nil {
		return err
	}
	return s.expect(strings.Contains(s.attendeeLine(s.alpha, anna, bert), "PARTSTAT=ACCEPTED") &&
		strings.Contains(s.attendeeLine(s.alpha, anna, bea), "PARTSTAT=NEEDS-ACTION"), "Bert has accepted, and only he", "it says otherwise")
}

func (s *story) reschedule(ctx context.Context) error {
	s.chapter("Anna moves the tea to three o'clock")
	object := s.tea("REQUEST", 1, 15)
	s.alpha.calendars.Put(anna, teaUID, withoutMethod(object))
	if err := s.submit(ctx, s.alpha, anna, object, bert, bea); err != nil {
		return err
	}
	s.say("In Bert's calendar:")
	if err := s.showCalendar(s.beta, bert, "DTSTART", "DTEND", "SEQUENCE"); err != nil {
		return err
	}
	return s.expect(s.holds(s.beta, bert, "DTSTART:"+s.at(15), "SEQUENCE:1"), "the tea is at three", "it is not")
}

func (s *story) busyTimes(ctx context.Context) error {
	s.chapter("Anna asks when they are busy on " + s.day.Format("Monday 2 January"))
	s.beta.calendars.Put(bea, "dentist@beta.example", s.event("", "dentist@beta.example", 0, 9, 11, "Dentist: private!", nil))
	nobody := cua.MustParse("mailto:nobody@beta.example")
	asked := []cua.Address{bert, bea, nobody}
	response, err := s.alpha.post(ctx, anna, s.question(asked), "VFREEBUSY", "REQUEST", asked)
	if err != nil {
		return err
	}
	people := make([]attendeeReport, len(response.Results))
	for i, r := range response.Results {
		if strings.Contains(string(r.CalendarData), "Dentist") {
			return errors.New("the answer says what Bea is busy with")
		}
		people[i] = attendeeReport{Address: asked[i].Local(), Status: r.Status.Code, Meaning: r.Status.Text, Description: r.Description}
		if !r.Status.Success() {
			continue
		}
		periods, err := itip.ParseFreeBusy(r.CalendarData, asked[i])
		if err != nil {
			return err
		}
		people[i].Answered = true
		for _, p := range periods {
			people[i].Periods = append(people[i].Periods, periodReport{Type: p.Type, Start: p.Start, End: p.End})
		}
	}
	var bars bytes.Buffer
	c := chart{from: s.day.Add(8 * time.Hour), to: s.day.Add(18 * time.Hour), zone: time.UTC, width: 74, glyphs: s.glyphs}
	if err := c.print(&bars, people); err != nil {
		return err
	}
	s.quote(bars.String())
	busy := func(i, hour int) bool {
		return len(people[i].Periods) == 1 && people[i].Periods[0].Start.Equal(s.day.Add(time.Duration(hour)*time.Hour))
	}
	if err := s.expect(len(people) == 3 && busy(0, 15), "Bert is busy at three: the tea", "his periods are %v", people[0].Periods); err != nil {
		return err
	}
	// the tea has not been answered by Bea, and takes her time all the same: two periods
	if err := s.expect(len(people[1].Periods) == 2, "Bea is busy at nine, with what is nobody's business", "her periods are %v", people[1].Periods); err != nil {
		return err
	}
	return s.expect(people[2].Status == ischedule.StatusUnknownUser.Code, "nobody@beta.example is unknown there", "it got %s", people[2].Status)
}

func (s *story) cancel(ctx context.Context) error {
	s.chapter("Anna cancels")
	s.alpha.calendars.Put(anna, teaUID, nil)
	if err := s.submit(ctx, s.alpha, anna, s.tea("CANCEL", 2, 15), bert, bea); err != nil {
		return err
	}
	return s.expect(s.cancelled(bert), "the tea is off in Bert's calendar", "it is still on")
}

// cancelled says whether the tea takes none of the user's time.
func (s *story) cancelled(user cua.Address) bool {
	object := s.beta.calendars.Object(user, teaUID)
	return object == nil || bytes.Contains(object, []byte("STATUS:CANCELLED"))
}

// submit sends a message and expects 2.0 for every recipient.
func (s *story) submit(ctx context.Context, from *site, originator cua.Address, body []byte, to ...cua.Address) error {
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		return err
	}
	response, err := from.post(ctx, originator, body, m.Component, m.Method, to)
	if err != nil {
		return err
	}
	for _, r := range response.Results {
		if err := s.expect(r.Status.Code == ischedule.StatusDelivered.Code, ischedule.StatusDelivered.String()+" for "+r.Recipient,
			"it was %s %s", r.Status, r.Description); err != nil {
			return err
		}
	}
	if len(response.Results) != len(to) {
		return fmt.Errorf("%d recipients, %d answers", len(to), len(response.Results))
	}
	return nil
}
