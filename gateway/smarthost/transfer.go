package smarthost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
)

// transfer is one mail on its way into a session.
type transfer struct {
	client   *Client
	envelope *Envelope
	mail     []byte
	from     string   // as MAIL says it
	to       []string // as RCPT says them
	utf8     bool
	eightBit bool
}

// prepare refuses, before a connection is made, what no server could take.
func (c *Client) prepare(e *Envelope, mail []byte) (*transfer, *Error) {
	// many clients say SMTPUTF8 and 8BITMIME wherever they are offered: what is all ASCII needs neither
	t := &transfer{client: c, envelope: e, mail: mail, utf8: e.UTF8 && !ascii(mail), eightBit: !ascii(mail)}
	if len(e.To) == 0 {
		return nil, c.refuse("the envelope has no recipient")
	}
	var err error
	if t.from, err = Path(e.From); err != nil {
		return nil, c.refuse("envelope sender: " + err.Error())
	}
	t.utf8 = t.utf8 || !ascii(t.from)
	for _, address := range e.To {
		to, err := Path(address)
		if err != nil || to == "" {
			failure := c.refuse("envelope recipient: not an address that SMTP can carry")
			failure.Recipient = address
			return nil, failure
		}
		t.to = append(t.to, to)
		t.utf8 = t.utf8 || !ascii(to)
	}
	if !validDSN(e) {
		return nil, c.refuse("parameters for delivery status notifications that RFC 3461 does not know")
	}
	if !crlfOnly(mail) {
		return nil, c.refuse("the mail has a bare CR or LF in it, which SMTP cannot carry")
	}
	return t, nil
}

// run is the transaction. The first refusal ends it.
func (t *transfer) run(ctx context.Context, session *smtp.Client) *Error {
	if lacking := t.lacking(session); lacking != "" {
		return t.client.refuse("the mail needs " + lacking + ", which the server does not offer")
	}
	// go-smtp leaves out what the server does not offer, and says BODY=8BITMIME wherever it can
	err := session.Mail(t.from, &smtp.MailOptions{
		Size: int64(len(t.mail)), UTF8: t.utf8, Return: smtp.DSNReturn(t.envelope.Return), EnvelopeID: t.envelope.ID,
	})
	if err != nil {
		return t.client.failed(ctx, "MAIL", err)
	}
	for i, to := range t.to {
		if err := session.Rcpt(to, t.notify(i)); err != nil {
			failure := t.client.failed(ctx, "RCPT", err)
			if failure.Code != 0 {
				failure.Recipient = t.envelope.To[i]
			}
			return failure
		}
	}
	data, err := session.Data()
	if err != nil {
		return t.client.failed(ctx, "DATA", err)
	}
	if _, err := data.Write(t.mail); err != nil {
		return t.client.failed(ctx, "transfer", err)
	}
	if err := data.Close(); err != nil {
		return t.client.failed(ctx, "end of DATA", err)
	}
	return nil
}

// lacking is an extension without which the mail cannot be carried as it is, "" when the server has them all.
func (t *transfer) lacking(session *smtp.Client) string {
	if offered, _ := session.Extension("8BITMIME"); t.eightBit && !offered {
		return "8BITMIME"
	}
	if offered, _ := session.Extension("SMTPUTF8"); t.utf8 && !offered {
		return "SMTPUTF8"
	}
	return ""
}

// notify are the parameters of RCPT. The original recipient is named where a notification was asked for (RFC 3461 §5.2.1).
func (t *transfer) notify(i int) *smtp.RcptOptions {
	asked := t.envelope.Notify[t.envelope.To[i]]
	kind, original, given := strings.Cut(t.envelope.Original[t.envelope.To[i]], ";")
	if len(asked) == 0 && !given {
		return nil
	}
	options := &smtp.RcptOptions{OriginalRecipient: t.to[i], OriginalRecipientType: smtp.DSNAddressTypeRFC822}
	if !ascii(t.to[i]) {
		options.OriginalRecipientType = smtp.DSNAddressTypeUTF8
	}
	if given {
		options.OriginalRecipient, options.OriginalRecipientType = original, smtp.DSNAddressType(strings.ToUpper(kind))
	}
	for _, when := range asked {
		options.Notify = append(options.Notify, smtp.DSNNotify(strings.ToUpper(when)))
	}
	return options
}

// validDSN says whether RET, ENVID and NOTIFY have values of RFC 3461.
func validDSN(e *Envelope) bool {
	if !slices.Contains([]string{"", "FULL", "HDRS"}, e.Return) || len(e.ID) > 100 || !visible(strings.ReplaceAll(e.ID, " ", "")) {
		return false
	}
	for _, asked := range e.Notify {
		seen := make(map[string]bool, len(asked))
		for _, when := range asked {
			when = strings.ToUpper(when)
			if !slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, when) || seen[when] {
				return false
			}
			seen[when] = true
		}
		if seen["NEVER"] && len(seen) > 1 {
			return false
		}
	}
	return true
}

// Path writes an address as MAIL and RCPT take it between < and >, a local part that is no dot-string quoted (RFC 5321 §4.1.2). An
// error says that SMTP cannot carry it.
func Path(address string) (string, error) {
	if address == "" {
		return "", nil
	}
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at == len(address)-1 {
		return "", fmt.Errorf("not an address")
	}
	local, domain := address[:at], address[at+1:]
	if strings.ContainsFunc(address, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.ContainsAny(domain, " <>\"\\") {
		return "", fmt.Errorf("an address with characters that SMTP cannot carry")
	}
	if strings.ContainsAny(local, " \"(),:;<>@[\\]") || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	return local + "@" + domain, nil
}

// crlfOnly says whether CR and LF come in pairs only.
func crlfOnly(mail []byte) bool {
	for i, c := range mail {
		if c == '\r' && (i+1 == len(mail) || mail[i+1] != '\n') || c == '\n' && (i == 0 || mail[i-1] != '\r') {
			return false
		}
	}
	return true
}

func ascii[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
