// Package submission is how local calendar systems hand us messages: the iSchedule form over HTTP, by a submitter that
// proves itself with a bearer token, a password, a client certificate, or a DKIM signature by a key pinned to it. A network
// address alone never authorises. IS-SUB-1.
//
// DAViCal can submit as it is: its SRV look-up leads here, it reads the capability schema of draft-01, and signs so.
//
// It decides who may send for which domain, and nothing about the message: that is package sender's.
package submission

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Sender is what submission hands messages to; *sender.Sender implements it.
type Sender interface {
	Send(ctx context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error)
}

// Config of a Handler.
type Config struct {
	Active *snapshot.Active
	Sender Sender
	Shared *Shared          // nil = this Handler's own
	Now    func() time.Time // nil = time.Now
	Log    *slog.Logger     // nil = discard
}

// Shared is what survives a change of configuration: the memory of failed authentications and of signatures. The zero value
// works. Do not copy it.
type Shared struct {
	failures throttle
	used     usedSignatures
}

// defaultMaxBody bounds a body where the gateway's capabilities set no max-content-length.
const defaultMaxBody = 1 << 20

// Handler serves the submit listener: POST of the iSchedule form, GET of capabilities, at WellKnownPath and "/".
type Handler struct {
	cfg          Config
	submitters   *submitters
	capabilities []byte // the document
	draft01      []byte // the same in the old schema
	serial       string
}

// New makes a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Active == nil || cfg.Sender == nil {
		return nil, errors.New("submission: Active and Sender must be set")
	}
	if cfg.Shared == nil {
		cfg.Shared = &Shared{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	who, err := newSubmitters(cfg.Active)
	if err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	capabilities := &cfg.Active.Snapshot.Gateway.Capabilities
	return &Handler{
		cfg: cfg, submitters: who,
		capabilities: capabilities.Marshal(), draft01: capabilities.MarshalDraft01(), serial: strconv.FormatUint(capabilities.Serial, 10),
	}, nil
}

// ClientAuth says whether any submitter uses client certificates, and how the listener must ask for them: requested, never required;
// the Handler verifies.
func (h *Handler) ClientAuth() tls.ClientAuthType {
	if len(h.submitters.certificates) > 0 {
		return tls.RequestClientCert
	}
	return tls.NoClientCert
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set(ischedule.HeaderVersion, ischedule.Version)
	w.Header().Set(ischedule.HeaderCapabilities, h.serial)
	if submitter, failure := h.serve(w, req); failure != nil {
		h.cfg.Log.LogAttrs(req.Context(), slog.LevelInfo, "submission refused", slog.String("source", req.RemoteAddr),
			slog.String("submitter", submitter), slog.String("error", string(failure.Name)), slog.String("reason", failure.Reason))
		failure.Write(w)
	}
}

// serve answers, or returns why it does not, and the submitter's name once it is known.
func (h *Handler) serve(w http.ResponseWriter, req *http.Request) (submitter string, failure *ischedule.Error) {
	source := sourceOf(req.RemoteAddr)
	switch {
	case req.TLS == nil && !source.Addr().IsLoopback():
		return "", ischedule.NewError(ischedule.OriginatorDenied, "plain-http",
			"credentials must not cross a network in clear: use https, or connect from the gateway's own machine")
	case req.URL.Path != "/" && req.URL.Path != ischedule.WellKnownPath:
		return "", &ischedule.Error{Status: http.StatusNotFound, Reason: "path", Description: "messages are posted to / or " + ischedule.WellKnownPath}
	}
	switch req.Method {
	case http.MethodPost:
		return h.submit(w, req, source)
	case http.MethodGet, http.MethodHead:
		return "", h.query(w, req)
	}
	w.Header().Set("Allow", "GET, HEAD, POST")
	return "", &ischedule.Error{Status: http.StatusMethodNotAllowed, Reason: "method", Description: "the resource takes GET and POST"}
}

// query answers with the capabilities: what this gateway takes, from submitters too.
func (h *Handler) query(w http.ResponseWriter, req *http.Request) *ischedule.Error {
	q := req.URL.Query()
	for _, key := range []string{"action", "query"} {
		if q.Has(key) && q.Get(key) != "capabilities" {
			return &ischedule.Error{Status: http.StatusBadRequest, Reason: "action", Description: "the only action is capabilities"}
		}
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	document := h.capabilities
	if q.Has("query") && !q.Has("action") {
		document = h.draft01 // DAViCal asks so, and posts only to what it reads there
	}
	_, _ = w.Write(document)
	return nil
}

// submit takes one message. The submitter is authenticated by the header alone, before the body is read: one that
// waits for "100 Continue" never sends a body in vain.
func (h *Handler) submit(w http.ResponseWriter, req *http.Request, source netip.Prefix) (submitter string, failure *ischedule.Error) {
	who, failure := h.authenticate(w, req, source)
	if failure != nil {
		return "", failure
	}
	own := &h.cfg.Active.Snapshot.Gateway.Capabilities
	// the header is judged before the body, too: first without one
	parsed, bad, failure := ischedule.ReadRequest(req.Header, nil, own.MaxRecipients)
	if failure != nil {
		return "", failure
	}
	stranger := ischedule.NewError(ischedule.OriginatorDenied, "originator-domain", "these credentials are not for the Originator's domain")
	as := who.actingFor(parsed.Originator.Domain())
	if as == nil {
		as = who.davical()
	}
	if as == nil {
		return "", stranger
	}
	if parsed.Body, failure = h.readBody(w, req); failure != nil {
		return as.name, failure
	}
	if as.signature != nil {
		answer, failure := h.checkSigned(as, parsed.Body)
		if failure != nil {
			return as.name, failure
		}
		if answer != nil {
			answer.Write(w)
			return as.name, nil
		}
		if as.signature.IsDraft01() {
			if as = who.forOrganizer(parsed); as == nil {
				return who.davical().name, stranger
			}
		}
	}
	response, failure := h.cfg.Sender.Send(req.Context(), &sender.Submission{Submitter: as.name, Domain: as.domain, Request: parsed})
	if failure != nil {
		return as.name, failure
	}
	for _, address := range bad {
		response.Results = append(response.Results, ischedule.RecipientResult{
			Recipient: address, Status: ischedule.StatusUnknownUser, Description: "not a calendar user address",
		})
	}
	if as.signature != nil {
		if as.signature.IsDraft01() {
			forDAViCal(response)
		}
		h.rememberAnswer(as, response)
	}
	response.Write(w)
	return as.name, nil
}

// readBody reads at most what the capabilities allow.
func (h *Handler) readBody(w http.ResponseWriter, req *http.Request) ([]byte, *ischedule.Error) {
	limit := h.cfg.Active.Snapshot.Gateway.Capabilities.MaxContentLength
	if limit <= 0 {
		limit = defaultMaxBody
	}
	tooLarge := ischedule.NewError(ischedule.MaxContentLength, "max-content-length",
		"the message is larger than "+strconv.FormatInt(limit, 10)+" octets")
	if req.ContentLength > limit {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, limit))
	if err == nil {
		return body, nil
	}
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, tooLarge
	}
	return nil, &ischedule.Error{Status: http.StatusBadRequest, Reason: "body", Description: "the body could not be read", Err: err}
}
