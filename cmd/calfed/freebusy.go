package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

type freeBusyOptions struct {
	from, to, as, output string
	way                  wayOut
}

func newFreeBusyCommand() *cobra.Command {
	var opt freeBusyOptions
	cmd := &cobra.Command{
		Use:   "freebusy ADDRESS… --as ADDRESS (--submit URL --token-file FILE | --manifests DIR…)",
		Short: "Ask when people are busy, and draw it",
		Long: "Asks the calendar services of the attendees when they are busy, and draws a bar for each in local\n" +
			"time, with the busy times listed below it.\n\n" +
			"TIME is RFC 3339 (2026-11-25T14:00:00+01:00), a local time (2026-11-25T14:00), a local day\n" +
			"(2026-11-25), now, or a distance such as +90m, +8h, +2d: from now for --from, from --from for\n" +
			"--to.\n\n" +
			"Ends with 0 when everybody's service answered, with 1 when one did not, with 2 when the question\n" +
			"could not be asked.",
		Example: "  calfed freebusy bob@example.net --as alice@example.org --manifests ./config\n" +
			"  calfed freebusy bob@example.net eve@example.com --from 2026-11-25T08:00 --to +10h \\\n" +
			"      --as alice@example.org --submit https://gw.example.org:8444 --token-file token",
		Args: someArguments("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(opt.output); err != nil {
				return err
			}
			question, err := opt.question(args, time.Now())
			if err != nil {
				return err
			}
			answer, err := opt.way.send(cmd.Context(), question.request(), cmd.ErrOrStderr())
			if err != nil {
				return notSent(cmd.OutOrStdout(), opt.output, err)
			}
			report := question.report(answer)
			return conclude(cmd.OutOrStdout(), opt.output, report, report.Answered)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.from, "from", "now", "begin of the range, a `TIME`")
	f.StringVar(&opt.to, "to", "+8h", "end of the range, a `TIME`")
	f.StringVar(&opt.as, "as", "", "`ADDRESS` of the person who asks")
	opt.way.addFlags(cmd)
	addOutputFlag(cmd, &opt.output)
	_ = cmd.MarkFlagRequired("as")
	return cmd
}

// freeBusyQuestion is one question about several people.
type freeBusyQuestion struct {
	as        cua.Address
	attendees []cua.Address
	from, to  time.Time
	stamp     time.Time
	uid       string
}

func (o *freeBusyOptions) question(args []string, now time.Time) (*freeBusyQuestion, error) {
	q := &freeBusyQuestion{stamp: now, uid: rand.Text()}
	var err error
	if q.as, err = cua.Parse(o.as); err != nil {
		return nil, fmt.Errorf("--as: %w", err)
	}
	if q.attendees, err = addresses(args); err != nil {
		return nil, err
	}
	if q.from, err = parseWhen(o.from, now, now.Location()); err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	if q.to, err = parseWhen(o.to, q.from, now.Location()); err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	q.from, q.to = q.from.Truncate(time.Second), q.to.Truncate(time.Second)
	if !q.to.After(q.from) {
		return nil, errors.New("--to must be after --from")
	}
	return q, nil
}

// request is the VFREEBUSY REQUEST (RFC 5546 §3.3.2).
func (q *freeBusyQuestion) request() *ischedule.Request {
	question := itip.FreeBusyRequest{UID: q.uid, Organizer: q.as, Attendees: q.attendees, Start: q.from, End: q.to, Stamp: q.stamp}
	return &ischedule.Request{Originator: q.as, Recipients: q.attendees, Component: "VFREEBUSY", Method: "REQUEST", Body: question.Build()}
}

// freeBusyReport is what the services answered.
type freeBusyReport struct {
	Answered  bool             `json:"answered"` // for everybody
	From      time.Time        `json:"from"`
	To        time.Time        `json:"to"`
	Attendees []attendeeReport `json:"attendees"`
}

type attendeeReport struct {
	Address     string         `json:"address"`
	Status      string         `json:"status"`
	Meaning     string         `json:"meaning"`
	Description string         `json:"description,omitempty"`
	Answered    bool           `json:"answered"`
	Periods     []periodReport `json:"periods,omitempty"`
}

type periodReport struct {
	Type  string    `json:"type"` // FBTYPE
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

func (q *freeBusyQuestion) report(answer *ischedule.Response) *freeBusyReport {
	report := &freeBusyReport{Answered: len(answer.Results) > 0, From: q.from.UTC(), To: q.to.UTC()}
	for _, r := range answer.Results {
		one := attendeeReport{Address: r.Recipient, Status: r.Status.Code, Meaning: r.Status.Text, Description: r.Description}
		if r.Status.Success() {
			attendee, _ := cua.Parse(r.Recipient) // the zero address takes any: the gateway checked whose answer it is
			periods, err := itip.ParseFreeBusy(r.CalendarData, attendee)
			if one.Answered = err == nil; err != nil {
				one.Description = "the answer cannot be read: " + err.Error()
			}
			one.Periods = q.clip(periods)
		}
		report.Answered = report.Answered && one.Answered
		report.Attendees = append(report.Attendees, one)
	}
	return report
}

// print draws the report for this terminal, in local time.
func (r *freeBusyReport) print(w io.Writer) error {
	chart := chart{from: r.From, to: r.To, zone: time.Local, width: terminalWidth(), glyphs: terminalGlyphs()}
	return chart.print(w, r.Attendees)
}

// clip drops what lies outside the question, and free time.
func (q *freeBusyQuestion) clip(periods []itip.Period) []periodReport {
	var out []periodReport
	for _, p := range periods {
		if p.Start.Before(q.from) {
			p.Start = q.from
		}
		if p.End.After(q.to) {
			p.End = q.to
		}
		if p.Type != "FREE" && p.End.After(p.Start) {
			out = append(out, periodReport{Type: p.Type, Start: p.Start.UTC(), End: p.End.UTC()})
		}
	}
	return out
}
