package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/calfed/calfed/gateway/netguard"
)

// maxAnswer bounds the body of an answer to a POST.
const maxAnswer = 16 << 20

// ErrUnreached comes with ErrTemporary: no connection to the receiver came about, so nothing was sent. The next Find
// puts that target behind the domain's others (IS-DISC-2).
var ErrUnreached = errors.New("receiver could not be reached")

// Answer is what a receiver said to a POST.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Post sends a signed request to the receiver and returns the status, header and bounded body of the answer (at most 16 MiB).
// It re-POSTs a redirected request on the same host only (IS-DISC-4), and notes iSchedule-Capabilities: a serial
// that differs makes the next Find reload (IS-CAP-5). It adds nothing to header, and withholds Authorization from a
// receiver that does not take it (Receiver.TakesAuthorization).
//
// Errors wrap ErrTemporary, or are *netguard.RefusedError. Whatever the receiver answered is no error.
func (d *Discoverer) Post(ctx context.Context, r *Receiver, header http.Header, body []byte) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout(r.outbound))
	defer cancel()
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	header = header.Clone()
	if !r.TakesAuthorization() {
		header.Del("Authorization")
	}
	if len(header.Values("User-Agent")) == 0 {
		header["User-Agent"] = []string{""} // or net/http would name itself
	}
	for hop := 0; ; hop++ {
		answer, err := d.post(ctx, r, u, header, body)
		if err != nil {
			return nil, err
		}
		next := repost(u, answer)
		if next == nil || hop == maxHops {
			d.note(r, answer)
			return answer, nil
		}
		u = next
	}
}

// repost is where a redirected POST goes: the same scheme, host and port only. Nil for every other answer, which is
// then the receiver's last word.
func repost(u *url.URL, a *Answer) *url.URL {
	switch a.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	next, err := redirected(u, a.Header.Get("Location"))
	if err != nil || origin(next) != origin(u) {
		return nil
	}
	return next
}

func (d *Discoverer) post(ctx context.Context, r *Receiver, u *url.URL, header http.Header, body []byte) (*Answer, error) {
	ctx, reached := traced(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	req.Header = header
	resp, err := r.transport.RoundTrip(req)
	if err != nil {
		return nil, d.unanswered(r, reached.Load(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer := &Answer{Status: resp.StatusCode, Header: resp.Header}
	if answer.Body, err = readAll(resp.Body, maxAnswer); err != nil {
		return nil, fmt.Errorf("%w: answer of %s: %w", ErrTemporary, u, err)
	}
	return answer, nil
}

// unanswered classifies a POST without an answer, and lets the domain's other targets come first next time.
func (d *Discoverer) unanswered(r *Receiver, connected bool, err error) error {
	d.avoid.Set(r.target, d.cfg.Now().Add(avoidFor))
	var refused *netguard.RefusedError
	switch {
	case errors.As(err, &refused):
		return err
	case !connected:
		return fmt.Errorf("%w: %w: %w", ErrTemporary, ErrUnreached, err)
	}
	return fmt.Errorf("%w: %w", ErrTemporary, err)
}

// note has capabilities read again when the answer says that they changed, or that the resource moved.
func (d *Discoverer) note(r *Receiver, a *Answer) {
	serial, ok := serialOf(a.Header)
	moved := a.Status/100 == 3 || a.Status == http.StatusNotFound || a.Status == http.StatusGone
	if moved || (ok && r.document.serial != 0 && serial != r.document.serial) {
		r.document.reload.Store(true)
	}
}
