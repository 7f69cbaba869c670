package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/backend/caldav/caldavtest"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// demoPassword is everybody's: the calendars live on loopback, and for minutes.
const demoPassword = "demo"

// openCalendars starts the site's calendar server: the gateway writes into it, and a calendar program can connect to it.
func (s *site) openCalendars(ctx context.Context) error {
	users := make([]caldavtest.User, len(s.people))
	for i, p := range s.people {
		users[i] = caldavtest.User{Address: p, Password: demoPassword}
	}
	s.calendars = caldavtest.New(caldavtest.Config{
		Users: users, Service: "gateway", ServicePassword: s.ServicePassword, Schedule: s.schedule,
	})
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Calendars = "http://" + ln.Addr().String() + "/"
	s.calendarServer = &http.Server{Handler: s.calendars, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.calendarServer.Serve(ln) }()
	return nil
}

// schedule hands what a user's calendar program has decided to the gateway. What a recipient's side says of it is told on the
// terminal: the program that writes has done its part.
func (s *site) schedule(ctx context.Context, m caldavtest.Message) error {
	read, err := itip.Inspect(m.Body, itip.Limits{}, 0)
	if err != nil {
		return err
	}
	var here []cua.Address
	for _, to := range m.Recipients {
		if to.Domain() != s.Domain { // the calendar server's own users are its own affair
			here = append(here, to)
		}
	}
	if len(here) == 0 {
		return nil
	}
	answer, err := s.post(ctx, m.Originator, m.Body, read.Component, read.Method, here)
	if err != nil {
		return err
	}
	for _, r := range answer.Results {
		select {
		case s.exchanges <- fmt.Sprintf("%s from %s to %s: %s", read.Method, m.Originator.URI(), r.Recipient, r.Status):
		default: // nobody listens
		}
	}
	return nil
}

// post hands a message to the site's submit listener, as its calendar server would.
func (s *site) post(ctx context.Context, originator cua.Address, body []byte, component, method string, to []cua.Address) (*ischedule.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.submitURL(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	recipients := make([]string, len(to))
	for i, a := range to {
		recipients[i] = a.URI()
	}
	req.Header = http.Header{
		ischedule.HeaderVersion:    {ischedule.Version},
		ischedule.HeaderOriginator: {originator.URI()},
		ischedule.HeaderRecipient:  {strings.Join(recipients, ",")},
		"Content-Type":             {"text/calendar; charset=utf-8; component=" + component + "; method=" + method},
		"Authorization":            {"Bearer " + s.Token},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if refusal, is := ischedule.ReadError(resp.StatusCode, answer); is {
		return nil, refusal
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the submit listener answered %s", resp.Status)
	}
	return ischedule.ReadResponse(answer)
}

// keep tells how to connect, and goes on until ctx ends.
func (w *world) keep(ctx context.Context, out io.Writer) {
	fmt.Fprintf(out, "\nBoth organisations go on until you press Ctrl-C. Connect a calendar program (CalDAV, no TLS):\n\n")
	for _, s := range []*site{w.alpha, w.beta} {
		for _, p := range s.people {
			fmt.Fprintf(out, "  %-20s %sdav/%s/   user %s, password %s\n", p.Local()+"@"+s.Domain, s.Calendars, p.Local(), p.Local(), demoPassword)
		}
	}
	fmt.Fprintf(out, "\nInvite somebody of the other organisation, and answer there. What passes between them is shown here:\n\n")
	for {
		select {
		case <-ctx.Done():
			return
		case line := <-w.exchanges:
			fmt.Fprintf(out, "  %s\n", line)
		}
	}
}
