package ischedule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/itip"
)

// maxRedirects: Cyrus and CalendarServer send /.well-known/ischedule elsewhere, once.
const maxRedirects = 3

// header is the iSchedule form of a delivery, unsigned (D05 §6.1).
func header(d *backend.Delivery, userAgent string, server dialect) http.Header {
	spelling := spellings(d.Message)
	recipients := make([]string, len(d.Recipients))
	for i, a := range d.Recipients {
		recipients[i] = server.recipient(spelling.of(a))
	}
	h := http.Header{}
	h.Set(ischedule.HeaderVersion, ischedule.Version)
	h.Set(ischedule.HeaderOriginator, spelling.of(d.Originator).URI())
	h.Set(ischedule.HeaderRecipient, strings.Join(recipients, ","))
	h.Set("Content-Type", contentType(d))
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("User-Agent", userAgent)
	if d.MessageID != "" {
		h.Set(ischedule.HeaderMessageID, d.MessageID)
	}
	return h
}

// spelled knows how the calendar object writes each address: Cyrus compares case-sensitively with that.
type spelled map[string]cua.Address

func spellings(m *itip.Message) spelled {
	s := spelled{}
	if m == nil {
		return s
	}
	for _, a := range append([]cua.Address{m.Organizer}, m.Attendees...) {
		if _, seen := s[a.Key()]; !seen && !a.IsZero() {
			s[a.Key()] = a
		}
	}
	return s
}

func (s spelled) of(a cua.Address) cua.Address {
	if written, ok := s[a.Key()]; ok {
		return written
	}
	return a
}

// contentType is the media type as it came, or with the parameters that DAViCal answers 500 without.
func contentType(d *backend.Delivery) string {
	_, params, err := mime.ParseMediaType(d.ContentType)
	if err == nil && params["component"] != "" && params["method"] != "" || d.Message == nil {
		return d.ContentType
	}
	return "text/calendar; charset=utf-8; component=" + d.Message.Component + "; method=" + d.Message.Method
}

// post sends the message and takes a bounded answer.
func (b *Backend) post(ctx context.Context, h http.Header, body []byte) (int, []byte, error) {
	resp, err := b.do(ctx, http.MethodPost, h, body)
	if err != nil {
		b.dialect.Store(nil)
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, ischedule.MaxResponseBytes+1))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: read answer: %w", backend.ErrUnavailable, err)
	}
	if len(answer) > ischedule.MaxResponseBytes {
		answer = nil // no readable answer
	}
	return resp.StatusCode, answer, nil
}

// do makes a request and follows redirects on the same host, POST staying POST: Cyrus answers 301 at the well-known
// path, then 400 to a GET. Errors that may go away wrap backend.ErrUnavailable.
func (b *Backend) do(ctx context.Context, method string, h http.Header, body []byte) (*http.Response, error) {
	target := b.endpoint
	for hop := 0; ; hop++ {
		req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header = h.Clone()
		resp, err := b.transport.RoundTrip(req)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
		}
		next, err := redirect(target, resp)
		if err == nil && next == nil {
			return resp, nil
		}
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		if hop == maxRedirects {
			return nil, errors.New("calendar server redirects too often")
		}
		target = next
	}
}

// redirect is where a response leads, nil when it is no redirect. Another host is refused: the message is for this one.
func redirect(from *url.URL, resp *http.Response) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, errors.New("calendar server redirects without a readable Location")
	}
	if !backend.SameOrigin(from, to) {
		return nil, errors.New("calendar server redirects to another host")
	}
	return to, nil
}
