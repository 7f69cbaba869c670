package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// maxMessageFile bounds the file that `send` reads.
const maxMessageFile = 64 << 20

type sendOptions struct {
	to     []string
	from   string
	output string
	way    wayOut
}

func newSendCommand() *cobra.Command {
	var opt sendOptions
	cmd := &cobra.Command{
		Use:   "send FILE.ics --to ADDRESS… (--submit URL --token-file FILE | --manifests DIR…)",
		Short: "Send one iTIP message and say what became of it for every recipient",
		Long: "Sends an iTIP message (- for stdin): through the submit listener of a running gateway, or in this\n" +
			"process with the configuration in a folder, by the very same code. The Originator is the ORGANIZER\n" +
			"of what organizers send (REQUEST, ADD, CANCEL, DECLINECOUNTER), else the only ATTENDEE; --from\n" +
			"names another one.\n\n" +
			"Ends with 0 when every recipient's calendar service took the message, with 1 when one did not or\n" +
			"your gateway refused the message, with 2 when there was nothing to send or nobody to give it to.",
		Example: "  calfed send invite.ics --to bob@example.net --submit https://localhost:8444 --token-file token\n" +
			"  calfed send invite.ics --to bob@example.net,eve@example.com --manifests ./config\n" +
			"  calfed send - --to ann@example.org --from bob@example.net --manifests ./config -o json < reply.ics",
		Args: oneArgument("FILE.ics"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(opt.output); err != nil {
				return err
			}
			req, err := opt.request(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			answer, err := opt.way.send(cmd.Context(), req, cmd.ErrOrStderr())
			if err != nil {
				return notSent(cmd.OutOrStdout(), opt.output, err)
			}
			report := newSendReport(req, answer)
			return conclude(cmd.OutOrStdout(), opt.output, report, report.Sent)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&opt.to, "to", nil, "recipient `ADDRESS`, repeated or separated by commas")
	f.StringVar(&opt.from, "from", "", "Originator `ADDRESS` (default: from the message)")
	opt.way.addFlags(cmd)
	addOutputFlag(cmd, &opt.output)
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// request reads the message and makes its iSchedule form.
func (o *sendOptions) request(file string, stdin io.Reader) (*ischedule.Request, error) {
	body, err := readMessage(file, stdin)
	if err != nil {
		return nil, err
	}
	m, err := itip.Inspect(body, itip.Limits{MaxBytes: maxMessageFile}, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	req := &ischedule.Request{Component: m.Component, Method: m.Method, Body: body}
	if req.Originator, err = originatorOf(m, o.from); err != nil {
		return nil, err
	}
	req.Recipients, err = addresses(o.to)
	return req, err
}

func readMessage(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, maxMessageFile+1))
	if err == nil && len(body) > maxMessageFile {
		err = fmt.Errorf("%s: larger than %d MiB", file, maxMessageFile>>20)
	}
	return body, err
}

// originatorOf is the address a message is sent from.
func originatorOf(m *itip.Message, from string) (cua.Address, error) {
	switch {
	case from != "":
		a, err := cua.Parse(from)
		if err != nil {
			return a, fmt.Errorf("--from: %w", err)
		}
		return a, nil
	case itip.OrganizerSends(m.Method):
		return m.Organizer, nil
	case len(m.Attendees) == 1:
		return m.Attendees[0], nil
	}
	return cua.Address{}, fmt.Errorf("a %s with %d attendees does not say who sends it: give --from", m.Method, len(m.Attendees))
}

// addresses parses addresses and drops those named twice.
func addresses(list []string) ([]cua.Address, error) {
	seen := make(map[string]bool, len(list))
	var out []cua.Address
	for _, s := range list {
		a, err := cua.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		if !seen[a.Key()] {
			seen[a.Key()] = true
			out = append(out, a)
		}
	}
	return out, nil
}

// notSent ends a command whose message was refused as a whole; everything else that went wrong is returned as it is.
func notSent(w io.Writer, output string, err error) error {
	var refusal *ischedule.Error
	if !errors.As(err, &refusal) {
		return err
	}
	if output == outputJSON {
		if err := printJSON(w, map[string]any{"sent": false, "error": map[string]any{
			"name": refusal.Name, "status": refusal.Status, "reason": refusal.Reason, "description": refusal.Description,
		}}); err != nil {
			return err
		}
		return failed(nil)
	}
	name := string(refusal.Name)
	if name == "" {
		name = fmt.Sprintf("HTTP %d", refusal.Status)
	}
	return failed(fmt.Errorf("the gateway refused the message: %s: %s", printable(name), printable(refusal.Description)))
}

// sendReport is what became of a message.
type sendReport struct {
	Sent       bool              `json:"sent"` // for every recipient
	Originator string            `json:"originator"`
	Recipients []recipientReport `json:"recipients"`
}

type recipientReport struct {
	Address     string `json:"address"`
	Status      string `json:"status"`
	Meaning     string `json:"meaning"`
	Description string `json:"description,omitempty"`
}

func newSendReport(req *ischedule.Request, answer *ischedule.Response) *sendReport {
	report := &sendReport{Sent: len(answer.Results) > 0, Originator: req.Originator.String()}
	for _, r := range answer.Results {
		report.Sent = report.Sent && r.Status.Success()
		report.Recipients = append(report.Recipients, recipientReport{
			Address: r.Recipient, Status: r.Status.Code, Meaning: r.Status.Text, Description: r.Description,
		})
	}
	return report
}

func (r *sendReport) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ADDRESS\tSTATUS\tMEANING")
	for _, one := range r.Recipients {
		meaning := one.Meaning
		if one.Description != "" {
			meaning += ": " + one.Description
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", printable(one.Address), printable(one.Status), printable(meaning))
	}
	return table.Flush()
}
