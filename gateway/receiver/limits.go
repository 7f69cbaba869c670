package receiver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
)

const (
	// fallbackContentLength bounds bodies when the capabilities set no max-content-length: there is always a bound.
	fallbackContentLength = 1 << 20
	// firstBuffer is what a body gets before any of it has arrived.
	firstBuffer = 32 << 10
	// memoryWait is how long a request waits for memory that other bodies hold.
	memoryWait = 2 * time.Second
	// retrySoon is the Retry-After of what passes within seconds, retryLater of what takes a person or a restart.
	retrySoon, retryLater = 5 * time.Second, 30 * time.Second
)

// admit takes a request of any method out of its source's budget.
func (r *Receiver) admit(req *http.Request) *ischedule.Error {
	wait, ok := r.cfg.Shared.budgets.requests.take(r.cfg.Now(), sourceOf(req.RemoteAddr), r.gateway().Limits.RequestsPerSource)
	if !ok {
		return tooMany("rate-source", "Too many requests from this address.", wait)
	}
	return nil
}

// tooMany is a 429.
func tooMany(reason, description string, wait time.Duration) *ischedule.Error {
	return &ischedule.Error{
		Status: http.StatusTooManyRequests, Reason: reason, Description: description, RetryAfter: max(wait, time.Second),
	}
}

// unavailable is a 503.
func unavailable(reason, description string, after time.Duration, cause error) *ischedule.Error {
	return &ischedule.Error{
		Status: http.StatusServiceUnavailable, Reason: reason, Description: description, RetryAfter: after, Err: cause,
	}
}

func (r *Receiver) maxContentLength() int64 {
	if n := r.gateway().Capabilities.MaxContentLength; n > 0 {
		return n
	}
	return fallbackContentLength
}

func tooLarge() *ischedule.Error {
	return &ischedule.Error{
		Name: ischedule.MaxContentLength, Status: http.StatusRequestEntityTooLarge, Reason: "body-too-large",
		Description: "The scheduling message is larger than max-content-length.",
	}
}

// size refuses what the header fields alone show to be too much, before a byte of the body is asked for: a client
// that expects 100-continue never sends it.
func (r *Receiver) size(_ context.Context, m *Message) *ischedule.Error {
	if m.http.ContentLength > r.maxContentLength() {
		return tooLarge()
	}
	return nil
}

// localSize is the same for a message that is in memory already.
func (r *Receiver) localSize(_ context.Context, m *Message) *ischedule.Error {
	if int64(len(m.Request.Body)) > r.maxContentLength() {
		return tooLarge()
	}
	if limit := r.gateway().Capabilities.MaxRecipients; limit > 0 && len(m.Request.Recipients) > limit {
		return tooManyRecipients("max-recipients")
	}
	return nil
}

// bodyDeadline gives the whole body its time. It holds for a refused request too: net/http reads what is left of a body
// before it answers, and a client must not keep us there.
func (r *Receiver) bodyDeadline(w http.ResponseWriter, req *http.Request) {
	if d := r.gateway().Limits.BodyTimeout; d > 0 && req.ContentLength != 0 {
		// the connection's own clock, not cfg.Now; recorders in tests have no deadline to set
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
	}
}

// bodyRead lifts the deadline, which would end the request's context now that net/http watches the idle connection.
func (m *Message) bodyRead() {
	_ = http.NewResponseController(m.writer).SetReadDeadline(time.Time{})
}

// body reads the body, reserving memory as it arrives and not before: a slow client holds only what it has sent.
func (r *Receiver) body(ctx context.Context, m *Message) *ischedule.Error {
	limits := r.gateway().Limits
	most := r.maxContentLength() + 1 // one more octet shows that it is too long
	if n := m.http.ContentLength; n >= 0 {
		most = n + 1 // room for the end of the body to show
	}
	reserved := int64(0)
	m.free = func() { r.cfg.Shared.bodies.release(reserved) }
	grow := func(to int64) *ischedule.Error {
		wait, cancel := context.WithTimeout(ctx, memoryWait)
		defer cancel()
		if err := r.cfg.Shared.bodies.reserve(wait, to-reserved, limits.MaxInFlightBytes); err != nil {
			return unavailable("memory", "The gateway is busy.", retrySoon, err)
		}
		reserved = to
		return nil
	}
	if err := grow(min(most, firstBuffer)); err != nil {
		return err
	}
	buf := make([]byte, 0, reserved)
	for {
		n, err := m.http.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > r.maxContentLength():
			m.writer.Header().Set("Connection", "close") // answer at once, do not read on
			return tooLarge()
		case errors.Is(err, io.EOF):
			m.Request.Body = buf
			m.bodyRead()
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &ischedule.Error{
				Status: http.StatusRequestTimeout, Reason: "body-timeout", Description: "The body took too long.", Err: err,
			}
		case err != nil:
			return &ischedule.Error{
				Status: http.StatusBadRequest, Reason: "body-incomplete", Description: "The body could not be read.", Err: err,
			}
		}
		if len(buf) == cap(buf) {
			if err := grow(min(most, 4*reserved)); err != nil {
				return err
			}
			bigger := make([]byte, len(buf), reserved)
			copy(bigger, buf)
			buf = bigger
		}
	}
}
