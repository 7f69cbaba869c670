package caldav

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/snapshot"
)

const (
	maxBody        = 16 << 20 // of an answer
	maxRedirects   = 3
	requestTimeout = 30 * time.Second
)

// client makes requests of one origin; its credentials go nowhere else.
type client struct {
	base          *url.URL
	transport     *http.Transport
	userAgent     string
	authorization string // "" = none
	log           *slog.Logger
}

func authorization(s *snapshot.CalDAV) string {
	switch {
	case s.Token != "":
		return "Bearer " + s.Token
	case s.Username != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(s.Username+":"+s.Password))
	}
	return ""
}

// request is one request. Header fields come in pairs.
type request struct {
	method string
	target *url.URL
	body   []byte
	header []string
}

// answer is a response read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
	at     *url.URL // where it came from, after redirects
}

func (a *answer) ok() bool { return a.status/100 == 2 }

// do makes a request. Errors that may go away, refused credentials among them, wrap backend.ErrUnavailable; every other status is the
// caller's. Only requests that change nothing are redirected.
func (c *client) do(ctx context.Context, r request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for hop := 0; ; hop++ {
		a, err := c.once(ctx, r)
		if err != nil {
			return nil, err
		}
		if !redirects(a.status) {
			return a, c.usable(a)
		}
		switch r.method {
		case http.MethodPut, http.MethodPost, http.MethodDelete:
			return nil, fmt.Errorf("calendar server redirects a %s", r.method)
		}
		if hop == maxRedirects {
			return nil, errors.New("calendar server redirects too often")
		}
		if r.target, err = c.resolve(r.target, a.header.Get("Location")); err != nil {
			return nil, fmt.Errorf("redirect: %w", err)
		}
	}
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func (c *client) once(ctx context.Context, r request) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.target.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, errors.New("calendar server: no usable URL")
	}
	for i := 0; i < len(r.header); i += 2 {
		req.Header.Set(r.header[i], r.header[i+1])
	}
	req.Header.Set("User-Agent", c.userAgent)
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%w: read answer: %w", backend.ErrUnavailable, err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("calendar server answers %s with more than %d octets", r.method, maxBody)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body, at: r.target}, nil
}

var errCredentials = fmt.Errorf("%w: credentials refused", backend.ErrUnavailable)

// usable says whether the server is there for us at all.
func (c *client) usable(a *answer) error {
	switch {
	case a.status == http.StatusUnauthorized:
		c.log.Error("calendar server: credentials refused")
		return errCredentials
	case a.status == http.StatusNotImplemented:
		return nil
	case a.status/100 == 5, a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout, a.status == http.StatusLocked:
		return fmt.Errorf("%w: HTTP status %d", backend.ErrUnavailable, a.status)
	}
	return nil
}

// baseURL reads the configured URL.
func baseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("CalDAV back end: not a URL") // url's own error repeats it, credentials and all
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil, u.Fragment != "", u.RawQuery != "":
		return nil, fmt.Errorf("CalDAV back end: %q is no http or https URL of a host", u.Redacted())
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

const maxHref = 2 << 10

// resolve reads an href of the server: it must stay on the configured origin.
func (c *client) resolve(from *url.URL, href string) (*url.URL, error) {
	href = strings.TrimSpace(href)
	if href == "" || len(href) > maxHref {
		return nil, errors.New("calendar server gives an href that is empty or too long")
	}
	u, err := from.Parse(href)
	if err != nil {
		return nil, errors.New("calendar server gives an href that cannot be read")
	}
	if !backend.SameOrigin(c.base, u) {
		return nil, errors.New("calendar server points to another origin")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}
