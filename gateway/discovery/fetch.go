package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

const (
	maxHops = 3 // redirects, IS-DISC-4
	// Times a capabilities request is sent when its connection ends without an answer: Debian's Cyrus aborts on every
	// second one.
	maxTries = 3
)

// statusError is an HTTP status that is no answer to a request for capabilities, and may change.
type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("HTTP status %d", e.status) }

// fetching is one request for capabilities with its redirects.
type fetching struct {
	d     *Discoverer
	s     *settings
	t     *target
	last  *document
	named bool
	steps []string
}

// reply is a response, read.
type reply struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte
}

// follow sends the request and follows redirects, to https only. The reply is a 200 or, when there was a last
// document at that place, a 304. IS-DISC-4.
func (f *fetching) follow(ctx context.Context) (*reply, error) {
	u := f.withAction(f.t.url)
	for hop := 0; ; hop++ {
		r, err := f.get(ctx, u)
		if err != nil {
			return nil, err
		}
		step := fmt.Sprintf("GET %s: %d", u, r.status)
		switch r.status {
		case http.StatusOK:
			f.steps = append(f.steps, step)
			return r, nil
		case http.StatusNotModified:
			if !f.lastAt(u) {
				return nil, &statusError{r.status}
			}
			f.steps = append(f.steps, step)
			return r, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
			http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			next, err := redirected(u, r.header.Get("Location"))
			if err != nil {
				return nil, fmt.Errorf("%w: GET %s: %w", errAbsent, u, err)
			}
			if hop == maxHops {
				return nil, fmt.Errorf("%w: GET %s: more than %d redirects", errAbsent, f.t.url, maxHops)
			}
			u = f.withAction(next)
			f.steps = append(f.steps, step+" to "+u.String())
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return nil, &statusError{r.status}
		default:
			if r.status >= 500 {
				return nil, &statusError{r.status}
			}
			return nil, fmt.Errorf("%w: GET %s: HTTP status %d", errAbsent, u, r.status)
		}
	}
}

// get sends one GET, again when its connection ends without an answer.
func (f *fetching) get(ctx context.Context, u *url.URL) (*reply, error) {
	for try := 1; ; try++ {
		r, reached, err := f.once(ctx, u)
		switch {
		case err == nil, errors.Is(err, errAbsent):
			return r, err
		case noSuchHost(err):
			return nil, fmt.Errorf("%w: %w", errAbsent, err)
		case errors.Is(err, netguard.ErrIdentity) && !f.named && len(f.t.names) > 0 && !f.s.onlySource():
			// Not the host's name in its certificate; perhaps the source domain's (IS-DISC-9).
			f.named = true
			try--
		case !reached || ctx.Err() != nil || try == maxTries:
			return nil, err
		default:
			f.steps = append(f.steps, fmt.Sprintf("GET %s: no answer, asked again", u))
		}
	}
}

// once sends one GET and reads the reply. Reached says, of an error, whether there was a connection.
func (f *fetching) once(ctx context.Context, u *url.URL) (_ *reply, reached bool, _ error) {
	home := origin(u) == origin(f.t.url)
	tr, err := f.d.transport(f.s, f.t, home, f.named)
	if err != nil {
		return nil, false, err
	}
	ctx, connected := traced(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errAbsent, err)
	}
	req.Header.Set("Accept", "application/xml, text/xml")
	req.Header.Set("User-Agent", f.d.cfg.UserAgent)
	req.Header.Set(ischedule.HeaderVersion, ischedule.Version)
	if home && f.s.out.Authorization != "" {
		req.Header.Set("Authorization", f.s.out.Authorization)
	}
	if f.lastAt(u) {
		req.Header.Set("If-None-Match", f.last.etag)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, connected.Load(), err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readAll(resp.Body, ischedule.MaxCapabilitiesBytes)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, true, fmt.Errorf("%w: GET %s: %w", errAbsent, u, err)
	case err != nil:
		return nil, true, err
	}
	return &reply{url: u, status: resp.StatusCode, header: resp.Header, body: body}, true, nil
}

// traced notes whether a request got a connection.
func traced(ctx context.Context) (context.Context, *atomic.Bool) {
	var reached atomic.Bool
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { reached.Store(true) },
	}), &reached
}

// lastAt says whether the last document was at u and can be asked for by its tag.
func (f *fetching) lastAt(u *url.URL) bool {
	return f.last != nil && f.last.etag != "" && f.last.url.String() == plain(u).String()
}

var errTooLarge = errors.New("answer too large")

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(b)) > limit {
		return nil, errTooLarge
	}
	return b, err
}

// withAction is u with the query that asks for capabilities. Cyrus and CalendarServer drop it when they redirect, and
// answer 400 to the request without it. DAViCal calls it query.
func (f *fetching) withAction(u *url.URL) *url.URL {
	out := *u
	out.Fragment, out.RawFragment = "", ""
	q := out.Query()
	key := "action"
	if f.s.out.SignatureProfile == snapshot.SignatureDAViCal {
		key = "query"
	}
	if !q.Has(key) {
		q.Set(key, "capabilities")
		out.RawQuery = q.Encode()
	}
	return &out
}

// redirected is where a Location leads: https, and no credentials in it (IS-DISC-4, IS-DISC-6).
func redirected(u *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, errors.New("redirect without Location")
	}
	next, err := u.Parse(location)
	switch {
	case err != nil:
		return nil, errors.New("redirect to no URL")
	case !strings.EqualFold(next.Scheme, "https"):
		return nil, fmt.Errorf("redirect to scheme %q", next.Scheme)
	case next.Hostname() == "" || next.User != nil:
		return nil, errors.New("redirect to no host, or with credentials")
	}
	return next, nil
}
