package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
)

// verifier judges a request at one instant with one key record, by the rules of a receiver. It asks no network.
type verifier struct {
	record string
	at     time.Time
	rules  dkim.Rules
}

// checks collects what was found, in order.
type checks struct{ list []verifyCheck }

func (c *checks) ok(name, format string, args ...any) {
	c.list = append(c.list, verifyCheck{Name: name, Result: resultOK, Detail: printable(fmt.Sprintf(format, args...))})
}

func (c *checks) note(name, format string, args ...any) {
	c.list = append(c.list, verifyCheck{Name: name, Result: resultNote, Detail: printable(fmt.Sprintf(format, args...))})
}

func (c *checks) skip(name, format string, args ...any) {
	c.list = append(c.list, verifyCheck{Name: name, Result: resultSkip, Detail: printable(fmt.Sprintf(format, args...))})
}

func (c *checks) fail(name, reason, detail string) {
	c.list = append(c.list, verifyCheck{Name: name, Result: resultFail, Reason: reason, Detail: printable(detail)})
}

// result records err as the outcome of the check: ok with the detail when nil.
func (c *checks) result(name string, err error, format string, args ...any) {
	if err == nil {
		c.ok(name, format, args...)
		return
	}
	reason, detail := "unknown", err.Error()
	if failure, is := errors.AsType[*dkim.Error](err); is {
		reason = failure.Reason
		if failure.Detail != "" {
			detail = failure.Detail
		}
	}
	c.fail(name, reason, detail)
}

// reason is the code of the first failure, "" when there is none.
func (c *checks) reason() string {
	for _, check := range c.list {
		if check.Result == resultFail {
			return check.Reason
		}
	}
	return ""
}

// verify runs every check in the order of IS-RECV-1, also after a failure: the report is for a person who has to find
// out what a peer does wrong.
func (v *verifier) verify(file *requestFile) *verifyReport {
	var head checks
	for _, note := range file.Notes {
		head.note("framing", "%s", note)
	}
	req := checkRequest(&head, file)
	fields, err := dkim.Fields(file.Header)
	head.result("signature-count", err, "%d", len(fields))

	// any one signature that passes is enough; IS-DKIM-6
	signatureReason, verified := "", false
	all := head.list
	for i, field := range fields {
		var one checks
		v.verifySignature(&one, file, req, field)
		if len(fields) > 1 {
			all = append(all, verifyCheck{Name: fmt.Sprintf("signature #%d", i+1), Result: resultNote})
		}
		all = append(all, one.list...)
		reason := one.reason()
		verified = verified || reason == ""
		if signatureReason == "" {
			signatureReason = reason
		}
	}
	report := &verifyReport{At: v.at, Checks: all, Reason: head.reason()}
	if report.Reason == "" && !verified {
		report.Reason = signatureReason
	}
	report.Verified = report.Reason == ""
	return report
}

// requestChecks are the steps of ischedule.ReadRequest, in its order.
var requestChecks = []string{"version", "media-type", "originator", "recipient"}

// checkRequest reads the header fields that are not the signature; nil when they are not in order.
func checkRequest(c *checks, file *requestFile) *ischedule.Request {
	req, bad, err := ischedule.ReadRequest(file.Header, file.Body, 0)
	failedAt := len(requestChecks)
	if err != nil {
		failedAt = requestStep(err.Name)
	}
	for i, name := range requestChecks {
		switch {
		case i > failedAt:
			c.skip(name, "not read")
		case i == failedAt:
			reason := err.Reason
			if reason == "" {
				reason = string(err.Name)
			}
			c.fail(name, reason, err.Description)
		default:
			c.ok(name, "%s", requestDetail(name, file, req))
		}
	}
	if err != nil {
		return nil
	}
	for _, address := range bad {
		c.note("recipient", "no calendar user address, would be answered 3.7: %s", address)
	}
	if req.MessageID == "" {
		c.note("message-id", "no iSchedule-Message-ID: replays are told by the signature alone")
	}
	if req.Component == "" || req.Method == "" {
		c.note("content-type", "lacks component or method: refused unless the peer's policy says contentTypeParameters: Optional")
	}
	return req
}

// requestStep is the index in requestChecks of the step that an error belongs to.
func requestStep(name ischedule.ErrorName) int {
	switch name {
	case ischedule.VersionNotSupported:
		return 0
	case ischedule.OriginatorMissing, ischedule.TooManyOriginators, ischedule.OriginatorInvalid, ischedule.OriginatorDenied:
		return 2
	case ischedule.RecipientMissing, ischedule.RecipientMismatch, ischedule.MaxRecipients:
		return 3
	}
	return 1
}

func requestDetail(name string, file *requestFile, req *ischedule.Request) string {
	header := map[string]string{"version": ischedule.HeaderVersion, "media-type": "Content-Type",
		"originator": ischedule.HeaderOriginator, "recipient": ischedule.HeaderRecipient}[name]
	if name == "recipient" && req != nil {
		var all []string
		for _, r := range req.Recipients {
			all = append(all, r.String())
		}
		return strings.Join(all, ", ")
	}
	return strings.Join(file.Header.Values(header), ", ")
}

// verifySignature runs the checks of one DKIM-Signature field.
func (v *verifier) verifySignature(c *checks, file *requestFile, req *ischedule.Request, field string) {
	sig, err := dkim.ParseSignature(field)
	c.result("signature-syntax", err, "%s", signatureDetail(sig))
	if err != nil {
		return
	}
	record, recordErr := dkim.ParseRecord(v.record)
	for _, check := range sig.Checks(file.Header, file.Body, record, v.at, v.rules) {
		name := strings.ReplaceAll(check.Name, " ", "-")
		switch {
		case name == "key-record" && recordErr != nil:
			c.result(name, recordErr, "")
			continue
		case name == "time": // a receiver asks for alignment first: it needs no clock
			v.checkAlignment(c, req, sig)
		}
		c.result(name, check.Err, "%s", v.detail(name, file, sig, record))
	}
}

func (v *verifier) checkAlignment(c *checks, req *ischedule.Request, sig *dkim.Signature) {
	const name = "alignment"
	if req == nil {
		c.skip(name, "no valid Originator")
		return
	}
	domain := req.Originator.Domain()
	c.result(name, sig.AlignedWith(domain, nil), "d=%s speaks for %s", sig.Domain, domain)
}

// detail is what there is to say about a check that passed.
func (v *verifier) detail(check string, file *requestFile, sig *dkim.Signature, record *dkim.Record) string {
	switch check {
	case "algorithm":
		return "a=" + sig.Algorithm
	case "canonicalization":
		return "c=" + sig.Canonicalization
	case "body-length":
		return "no l=: the whole body is signed"
	case "signed-fields":
		return "h=" + strings.Join(sig.Headers, ":")
	case "identity":
		return "i=" + sig.Identity + " is within d=" + sig.Domain
	case "time":
		return v.timeDetail(sig)
	case "key-record":
		if pub, is := record.Public.(*rsa.PublicKey); is {
			return fmt.Sprintf("%s, %d bits", record.KeyType, pub.N.BitLen())
		}
		return record.KeyType
	case "body-hash":
		return fmt.Sprintf("%d bytes", len(file.Body))
	}
	return "b= is right for the signed fields"
}

func signatureDetail(sig *dkim.Signature) string {
	if sig == nil {
		return ""
	}
	return fmt.Sprintf("d=%s s=%s q=%s", sig.Domain, sig.Selector, strings.Join(sig.Query, ":"))
}

func (v *verifier) timeDetail(sig *dkim.Signature) string {
	if sig.Time.IsZero() {
		return "no t=, and none is required"
	}
	detail := "t=" + sig.Time.UTC().Format(time.RFC3339)
	if !sig.Expires.IsZero() {
		detail += " x=" + sig.Expires.UTC().Format(time.RFC3339)
	}
	return detail + ", accepted until " + sig.AcceptedUntil(v.rules).UTC().Format(time.RFC3339)
}
