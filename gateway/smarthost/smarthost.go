// Package smarthost hands mail to one SMTP server: the organisation's smarthost, or a calendar system that only reads mail. It
// keeps no queue: what the server does not take now is the caller's.
package smarthost

import (
	"context"

	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Envelope is that of one mail.
type Envelope struct {
	From   string // "" = the null sender, for notifications
	To     []string
	UTF8   bool                // SMTPUTF8 is needed (RFC 6531)
	Binary bool                // BODY=8BITMIME is needed (RFC 6152)
	ID     string              // ENVID (RFC 3461), "" = none
	Return string              // RET: "", "FULL", "HDRS"
	Notify map[string][]string // NOTIFY by recipient, as it was asked of us; passed on when the server knows DSN
}

// Client hands mail to one server. Safe for concurrent use.
type Client struct{}

// New makes a Client. Connections obey the guard's Mail rules. hello is the name in EHLO.
func New(cfg snapshot.SMTPServer, guard *netguard.Guard, hello string) (*Client, error) {
	panic("not written yet")
}

// Error is what the server said.
type Error struct {
	Temporary bool   // worth trying again: 4yz, no connection, no TLS now
	Code      int    // SMTP reply code, 0 when there was none
	Text      string // one line, for people, without credentials
	Recipient string // refused alone; "" = the whole mail
	Err       error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// Send hands mail over, byte for byte, to all recipients or to none: one that is refused ends the transaction before DATA.
// Errors are *Error. nil means that the server has taken responsibility.
func (c *Client) Send(ctx context.Context, e *Envelope, mail []byte) error { panic("not written yet") }

// Close frees what the client holds.
func (c *Client) Close() {}
