package controllers

import (
	"context"
	"slices"
	"strings"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/probe"
)

// What status.records say of a record that was looked for.
const (
	observedOK      = "ok"
	observedNothing = "nothing"
	observedUnknown = "no name server answers"
)

// maxSilent bounds how many records are looked for that no name server speaks of: their owner is not to keep others waiting.
const maxSilent = 2

// badRecord is a record that is not as expected.
type badRecord struct {
	expected records.Record
	server   string // the first that differs; "" = none could be asked
	observed string
}

// seeRecords looks for every record that the domain needs on every authoritative server. Those that do not answer are passed over, as
// resolvers do, when others do.
func (r *federatedDomains) seeRecords(ctx context.Context, p *plan, now *sight) bool {
	silent := 0
	for _, rec := range p.needed.All() {
		server, observed := "", observedUnknown
		if silent < maxSilent {
			server, observed = r.seeRecord(ctx, rec)
		}
		if ctx.Err() != nil {
			return false
		}
		if observed == observedUnknown {
			silent++
		}
		if observed != observedOK && (now.bad == nil || now.bad.server == "" && server != "") {
			now.bad = &badRecord{rec, server, observed}
		}
		now.records = append(now.records, recordStatus(rec, observed))
	}
	now.checked = p.post.Compiled != nil
	return now.bad == nil
}

func recordStatus(rec records.Record, observed string) v1alpha1.RecordStatus {
	return v1alpha1.RecordStatus{Name: rec.Name, Type: rec.Type, Expected: clip(rec.Data()), Observed: observed}
}

// seeRecord returns observedOK or, of the first server that differs, its name and what it has.
func (r *federatedDomains) seeRecord(ctx context.Context, rec records.Record) (server, observed string) {
	answers, err := r.lookUp(ctx, rec.Name, rec.Type)
	if err != nil || !slices.ContainsFunc(answers.Servers, answered) {
		return "", observedUnknown
	}
	for _, s := range answers.Servers {
		if answered(s) && !asExpected(rec, s) {
			return plainName(s.Server), nothingOr(s.Data)
		}
	}
	return "", observedOK
}

// asExpected says whether a server has the record and no other beside it. Names are compared without regard to case (RFC 4343).
func asExpected(rec records.Record, s probe.ServerAnswer) bool {
	if len(s.Data) != 1 {
		return false
	}
	if rec.Type == "TXT" {
		return s.Data[0] == rec.Data()
	}
	return strings.EqualFold(s.Data[0], rec.Data())
}

// nothingOr tells data of strangers.
func nothingOr(data []string) string {
	if len(data) == 0 {
		return observedNothing
	}
	return clip(strings.Join(data, " / "))
}

// clip bounds what comes from elsewhere, and keeps what is not visible out.
func clip(text string) string {
	const longest = 1000
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
