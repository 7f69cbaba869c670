package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
	"github.com/calfed/calfed/gateway/netguard"
)

// capabilities asks for the document as a sender would, over redirects. IS-DISC-4, IS-CAP-8.
func (r *run) capabilities(ctx context.Context) *discovery.Receiver {
	if r.absent || r.unknown {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*stepTimeout)
	defer cancel()
	step := Step{Name: "capabilities", Expected: "a capabilities document of iSchedule " + ischedule.Version + " that takes VEVENT with REQUEST, REPLY and CANCEL"}
	found, err := r.find.Find(ctx, r.target.Domain, r.target.Outbound)
	if err != nil {
		step.Verdict, step.Seen, step.Cause = Failed, err.Error(), noReceiver(err)
		r.add(step)
		return nil
	}
	c := found.Capabilities
	step.Verdict = OK
	step.Seen = fmt.Sprintf("%s: serial %d, versions %s, %s", found.URL, c.Serial, orNone(c.Versions), messages(c))
	if hops := redirects(found.Steps); hops != "" {
		step.Seen += " (" + hops + ")"
	}
	switch missing := lacking(c); {
	case len(c.Versions) > 0 && !slices.Contains(c.Versions, ischedule.Version) && !slices.Contains(c.Versions, "1"):
		step.Verdict, step.Cause = Failed, "it speaks another version of iSchedule"
	case len(missing) > 0:
		step.Verdict, step.Cause = Warning, "it does not take "+strings.Join(missing, ", ")+": such messages stay behind"
	case c.Serial == 0:
		step.Verdict, step.Cause = Warning, "no serial number: senders do not notice when the document changes"
	}
	r.add(step)
	return found
}

// redirects are the requests on the way to the document, when there was more than one.
func redirects(steps []string) string {
	var hops []string
	for _, s := range steps {
		if strings.HasPrefix(s, "GET ") {
			hops = append(hops, s)
		}
	}
	if len(hops) < 2 {
		return ""
	}
	return strings.Join(hops, "; ")
}

// lacking are the messages without which scheduling is incomplete.
func lacking(c *ischedule.Capabilities) (out []string) {
	for _, method := range []string{"REQUEST", "REPLY", "CANCEL"} {
		if !c.Allows("VEVENT", method) {
			out = append(out, "VEVENT "+method)
		}
	}
	return out
}

func messages(c *ischedule.Capabilities) string {
	if c.Messages == nil {
		return "any messages"
	}
	list := make([]string, len(c.Messages))
	for i, m := range c.Messages {
		list[i] = m.Name
		if len(m.Methods) > 0 {
			list[i] += " " + strings.Join(m.Methods, "/")
		}
	}
	return "takes " + orNone(list)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// noReceiver is the likely cause of a discovery that failed.
func noReceiver(err error) string {
	var refused *netguard.RefusedError
	switch {
	case errors.As(err, &refused):
		return "it leads to an address that no gateway connects to"
	case errors.Is(err, discovery.ErrNoService):
		return "a server answers there, and not with iSchedule: route " + ischedule.WellKnownPath + " of the host to the gateway"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "the gateway cannot be reached now, or does not prove who it is: see the steps above"
}

// nobody is who asks in the unsigned question: a domain that cannot exist (RFC 2606 §2).
var nobody = cua.MustParse("mailto:calfed-check@check.invalid")

// unsigned asks when nobody is busy, without a signature. IS-RECV-1: that must be refused.
func (r *run) unsigned(ctx context.Context, to *discovery.Receiver) {
	step := Step{Name: "unsigned", Verdict: OK, Expected: "a message without a signature is refused"}
	step.Seen, step.Verdict, step.Cause = r.provoke(ctx, func(ctx context.Context, header http.Header, body []byte) (*discovery.Answer, error) {
		return r.find.Post(ctx, to, header, body)
	})
	r.add(step)
}

// provoke posts the question, and judges the answer.
func (r *run) provoke(ctx context.Context, post func(context.Context, http.Header, []byte) (*discovery.Answer, error)) (seen string, verdict Verdict, cause string) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	attendee, err := cua.Parse("mailto:calfed-check@" + r.target.Domain)
	if err != nil {
		return err.Error(), Skipped, "the domain cannot stand in an address"
	}
	now := r.cfg.Now()
	name := "calfed-check-" + strconv.FormatInt(now.UnixNano(), 36)
	start := now.Truncate(time.Hour).Add(24 * time.Hour)
	question := itip.FreeBusyRequest{UID: name, Organizer: nobody, Attendees: []cua.Address{attendee}, Start: start, End: start.Add(time.Hour), Stamp: now}
	header := http.Header{}
	header.Set(ischedule.HeaderVersion, ischedule.Version)
	header.Set(ischedule.HeaderMessageID, name)
	header.Set(ischedule.HeaderOriginator, nobody.URI())
	header.Set(ischedule.HeaderRecipient, attendee.URI())
	header.Set("Content-Type", "text/calendar; charset=utf-8; component=VFREEBUSY; method=REQUEST")
	header.Set("Cache-Control", "no-cache, no-transform")
	header.Set("User-Agent", r.cfg.UserAgent)
	answer, err := post(ctx, header, question.Build())
	if err != nil {
		return err.Error(), Warning, "the connection broke: the refusal could not be seen"
	}
	seen = "HTTP " + strconv.Itoa(answer.Status)
	if refusal, ok := ischedule.ReadError(answer.Status, answer.Body); ok {
		seen += " " + string(refusal.Name)
	}
	switch {
	case answer.Status < 300:
		if response, err := ischedule.ReadResponse(answer.Body); err == nil {
			for _, result := range response.Results {
				seen += ", " + result.Status.String()
			}
		}
		return seen, Failed, "anybody may write into the calendars behind it: verify DKIM, or put a gateway in front and close this address to the outside"
	case answer.Status >= 500 && answer.Status != http.StatusServiceUnavailable:
		return seen, Warning, "it fails where it should refuse"
	}
	return seen, OK, ""
}
