package mail

import (
	"errors"
	"io"
	"time"

	"github.com/emersion/go-smtp"
)

// body reads a mail within bounds.
type body struct {
	session *session
	limit   int64 // of this mail
	budget  int64 // of all that are in memory
	taken   int64
}

const firstBlock = 32 << 10

// lateBreak is how long the rest of a mail that is refused already may still come.
const lateBreak = 5 * time.Second

// read returns the mail with its line ends as they came, which are CRLF: a bare CR or LF is where two servers may see two
// different ends of one mail, so it ends here (RFC 5321 §2.3.8).
func (b *body) read(r io.Reader) ([]byte, *smtp.SMTPError) {
	c := b.session.conn
	deadline := time.Now().Add(mailTimeout)
	var mail []byte
	for checked := 0; ; {
		if len(mail) == cap(mail) {
			grown, ok := b.grow(mail)
			if !ok {
				return nil, answer(452, smtp.EnhancedCode{4, 3, 1}, "too much mail at once: try again later")
			}
			mail = grown
		}
		_ = c.SetReadDeadline(earlier(time.Now().Add(blockTimeout), deadline))
		n, err := r.Read(mail[len(mail):cap(mail)])
		mail = mail[:len(mail)+n]
		ends := err == io.EOF
		if !wellFormed(mail, checked, ends) {
			c.end(time.Now().Add(lateBreak))
			return nil, answer(550, smtp.EnhancedCode{5, 5, 2}, "bare <CR> or <LF>: lines of a mail end with <CR><LF>")
		}
		checked = len(mail)
		switch {
		case int64(len(mail)) > b.limit:
			return nil, tooLarge
		case ends:
			return mail, nil
		case err != nil:
			return nil, readFailure(err)
		}
	}
}

var tooLarge = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "the mail is too large"}

func readFailure(err error) *smtp.SMTPError {
	switch {
	case errors.Is(err, smtp.ErrDataTooLarge):
		return tooLarge
	case errors.Is(err, smtp.ErrTooLongLine):
		return answer(554, smtp.EnhancedCode{5, 6, 0}, "a line of the mail is too long")
	}
	return answer(451, smtp.EnhancedCode{4, 4, 2}, "the mail did not come whole")
}

// grow doubles the buffer, as far as the budget goes.
func (b *body) grow(mail []byte) ([]byte, bool) {
	size := max(firstBlock, min(2*int64(cap(mail)), b.limit+firstBlock))
	if !b.session.server.bytes.take(size-b.taken, b.budget) {
		return nil, false
	}
	b.taken = size
	grown := make([]byte, len(mail), size)
	copy(grown, mail)
	return grown, true
}

// free gives back what grow took, when nobody holds the mail any more.
func (b *body) free() { b.session.server.bytes.give(b.taken) }

// wellFormed says whether mail has no CR without LF and no LF without CR from the octet at from on; a CR at the very end is open
// unless the mail ends there.
func wellFormed(mail []byte, from int, ends bool) bool {
	for i := max(from-1, 0); i < len(mail); i++ {
		switch mail[i] {
		case '\n':
			if i == 0 || mail[i-1] != '\r' {
				return false
			}
		case '\r':
			if i+1 == len(mail) {
				return !ends
			}
			if mail[i+1] != '\n' {
				return false
			}
		}
	}
	return true
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
