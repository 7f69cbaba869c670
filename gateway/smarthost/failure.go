package smarthost

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/calfed/calfed/gateway/ischedule"
)

// Error is why a mail was not taken.
type Error struct {
	// Temporary: worth trying again. It is final only when the mail itself or its envelope was refused: 5yz from MAIL on, or
	// something the server cannot carry. A server that cannot be reached, has no TLS now or does not know us any more says
	// nothing about the mail.
	Temporary bool
	Code      int    // SMTP reply code, 0 when there was none
	Enhanced  string // "5.1.1" (RFC 3463), "" when there was none
	Text      string // one line, for people, without credentials; a reply may name addresses
	Recipient string // refused alone, as the envelope has it; "" = the whole mail
	Err       error  // nil when a reply was the reason
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// maxText bounds the server's words in an error, in octets.
const maxText = 200

// needsAuthentication is the reply to a client that the server wants to know (RFC 4954 §6): our configuration, not the mail.
const needsAuthentication = 530

// refuse is a final failure of our own finding.
func (c *Client) refuse(why string) *Error {
	return &Error{Text: "mail for " + c.address() + ": " + why}
}

// before is a failure before the server has heard of the mail.
func (c *Client) before(ctx context.Context, stage string, err error) *Error {
	failure := c.failed(ctx, stage, err)
	failure.Temporary = true
	return failure
}

// failed is a failure at a stage of the transaction.
func (c *Client) failed(ctx context.Context, stage string, err error) *Error {
	e := &Error{}
	said := ""
	var reply *smtp.SMTPError
	var early *textproto.Error
	switch {
	case errors.As(err, &reply):
		e.Code, said = reply.Code, reply.Message
		if code := reply.EnhancedCode; code[0] > 0 {
			e.Enhanced = fmt.Sprintf("%d.%d.%d", code[0], code[1], code[2])
		}
		said = strings.TrimSpace(fmt.Sprintf("%d %s", e.Code, strings.TrimSpace(e.Enhanced+" "+c.clean(said))))
	case errors.As(err, &early):
		e.Code = early.Code
		said = strings.TrimSpace(fmt.Sprintf("%d %s", e.Code, c.clean(early.Msg)))
	case ctx.Err() != nil:
		e.Err, said = ctx.Err(), "no answer before we stopped waiting"
	default:
		e.Err, said = err, c.clean(err.Error())
	}
	e.Temporary = e.Code/100 != 5 || e.Code == needsAuthentication
	e.Text = "mail server " + c.address() + ": " + stage + ": " + said
	return e
}

// clean makes the server's words fit for a log. A server that repeats our credentials is not quoted at all.
func (c *Client) clean(text string) string {
	for _, secret := range c.secrets {
		if strings.Contains(text, secret) {
			return "(not shown)"
		}
	}
	return ischedule.OneLine(text, maxText)
}
