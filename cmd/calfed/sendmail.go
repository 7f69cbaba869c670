package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of `calfed sendmail`, which its callers know from sysexits.h.
const (
	exitMailUsage       = 64 // wrong arguments
	exitMailData        = 65 // the mail, or an address in it, cannot be sent
	exitMailUnavailable = 69 // refused for good
	exitMailTemporary   = 75 // not now
	exitMailNoPerm      = 77 // the password
	exitMailConfig      = 78 // settings
)

// mailFailed ends `calfed sendmail` with a code that its caller knows.
func mailFailed(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf("sendmail: "+format, args...)}
}

func newSendmailCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sendmail [-t] [-i] [-f FROM] [-F NAME] [-N WHEN] [-V ID] [-R WHAT] [--] [RCPT…]",
		Short: "Hand a mail to the gateway, as /usr/sbin/sendmail does",
		Long: "Hands a mail from standard input to the gateway's smtp address. Programs that call sendmail (Cyrus,\n" +
			"Horde, PHP's mail(), cron) call this in its place; a link named sendmail does as well.\n\n" +
			"  -t           recipients are those of To, Cc and Bcc, too; Bcc is taken out\n" +
			"  -i, -oi      a line with a single dot does not end the mail\n" +
			"  -f FROM      envelope sender, '' for none; else the address in From\n" +
			"  -F NAME      name in From, where the mail has no From\n" +
			"  -N WHEN      notifications (RFC 3461): never, or some of success,failure,delay\n" +
			"  -R WHAT      what they return: hdrs or full\n" +
			"  -V ID        the envelope's id in them\n" +
			"  -bs          speak SMTP on standard input and output (Cyrus)\n" +
			"Other options that sendmail has are ignored; queues, aliases and tables there are none.\n\n" +
			"Settings, each from its option, else the environment, else the file:\n" +
			"  --smtp HOST:PORT       CALFED_SMTP                 smtp:\n" +
			"  --username NAME        CALFED_SMTP_USERNAME        username:\n" +
			"  --password-file FILE   CALFED_SMTP_PASSWORD_FILE   passwordFile:\n" +
			"  --ca-file FILE         CALFED_SMTP_CA_FILE         caFile:      (beside the system's authorities)\n" +
			"  --domain DOMAIN        CALFED_SMTP_DOMAIN          domain:      (of addresses that have none)\n" +
			"  --plaintext            CALFED_SMTP_PLAINTEXT=true  plaintext: true   (no TLS; to loopback only)\n" +
			"  --config FILE          the file, in YAML; /etc/calfed/sendmail.yaml if it is there\n\n" +
			"Exit codes (sysexits.h): 0 taken; 64 wrong arguments; 65 the mail cannot be sent; 69 refused for\n" +
			"good; 75 not now, try again; 77 wrong user name or password; 78 settings.",
		Example:            "  calfed sendmail -t -i < invitation.eml",
		DisableFlagParsing: true, // sendmail's options are not cobra's: -oi, -fADDRESS
		RunE: func(cmd *cobra.Command, args []string) error {
			call, err := parseSendmail(args)
			if errors.Is(err, errHelpWanted) {
				return cmd.Help()
			}
			if err != nil {
				return mailFailed(exitMailUsage, "%w", err)
			}
			settings, err := loadSendmail(&call.settings)
			if err != nil {
				return mailFailed(exitMailConfig, "%w", err)
			}
			if call.session {
				return proxySMTP(cmd.Context(), settings, cmd.InOrStdin(), cmd.OutOrStdout())
			}
			return call.send(cmd.Context(), settings, cmd.InOrStdin())
		},
	}
}

// maxSendmail bounds a mail on standard input: more than any gateway takes.
const maxSendmail = 256 << 20

// send reads the mail and hands it over.
func (c *sendmailCall) send(ctx context.Context, s *sendmailSettings, in io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(in, maxSendmail+1))
	switch {
	case err != nil:
		return mailFailed(exitMailTemporary, "reading the mail: %w", err)
	case len(raw) > maxSendmail:
		return mailFailed(exitMailData, "the mail is larger than %d octets", maxSendmail)
	}
	m := readOutgoing(raw, !c.ignoreDots)
	from, to, err := c.envelope(m, s.Domain)
	if err != nil {
		return mailFailed(exitMailData, "%w", err)
	}
	m.complete(from, c.name)
	client, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer client.close()
	return client.submit(from, to, c, m.bytes())
}

// envelope is the sender and the recipients of m.
func (c *sendmailCall) envelope(m *outgoing, domain string) (from string, to []string, err error) {
	switch {
	case c.from != nil:
		from = *c.from
	default:
		author, err := m.addresses("From")
		if err != nil || len(author) == 0 {
			return "", nil, errors.New("the mail has no From with an address: say -f ADDRESS")
		}
		from = author[0]
	}
	if from, err = qualified(from, domain); err != nil {
		return "", nil, err
	}
	if domain == "" {
		_, domain, _ = strings.Cut(from, "@")
	}
	recipients := c.recipients
	if c.fromHeader {
		for _, field := range []string{"To", "Cc", "Bcc"} {
			more, err := m.addresses(field)
			if err != nil {
				return "", nil, fmt.Errorf("%s cannot be read: %w", field, err)
			}
			recipients = append(recipients, more...)
		}
		m.remove("Bcc")
	}
	seen := make(map[string]bool)
	for _, r := range recipients {
		if r, err = qualified(r, domain); err != nil {
			return "", nil, err
		}
		if !seen[r] && r != "" {
			seen[r] = true
			to = append(to, r)
		}
	}
	if len(to) == 0 {
		return "", nil, errors.New("no recipients: name them, or say -t and have them in To, Cc or Bcc")
	}
	return from, to, nil
}

// qualified is an address with a domain; "" stays the null sender.
func qualified(address, domain string) (string, error) {
	address = strings.TrimSuffix(strings.TrimPrefix(address, "<"), ">")
	switch {
	case address == "" || strings.Contains(address, "@"):
		return address, nil
	case domain == "":
		return "", fmt.Errorf("the address %q has no domain: set domain", address)
	}
	return address + "@" + domain, nil
}
