package probe

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/keys"
)

// published looks up the keys, by each method. IS-DKIM-10, IS-DKIM-11.
func (r *run) published(ctx context.Context) {
	if len(r.target.Keys) == 0 {
		r.add(Step{Name: "keys", Verdict: Skipped, Expected: "the keys that sign for the domain",
			Seen: "no selector is known", Cause: "name one: --selector"})
		return
	}
	for _, k := range r.target.Keys {
		r.key(ctx, k)
	}
}

// key looks up one key. A method that need not have it is skipped when another has.
func (r *run) key(ctx context.Context, k Key) {
	var steps []Step
	found := false
	for _, method := range []string{dkim.MethodDNS, dkim.MethodWellKnown} {
		if k.Methods != nil && !slices.Contains(k.Methods, method) {
			continue
		}
		s, has := r.lookup(ctx, k, method)
		steps = append(steps, s)
		found = found || has
	}
	for _, s := range steps {
		if found && k.Methods == nil && s.Verdict == Failed && s.Seen == nothing {
			s.Verdict, s.Cause = Skipped, ""
		}
		r.add(s)
	}
}

const nothing = "nothing"

// lookup asks one method, and says whether it has a key, good or bad.
func (r *run) lookup(ctx context.Context, k Key, method string) (Step, bool) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	step := Step{Name: fmt.Sprintf("key %s of %s by %s", k.Selector, k.Domain, method), Verdict: Failed, Expected: "v=DKIM1; k=…; p=…"}
	if k.Record != "" {
		step.Expected = k.Record
	}
	found, err := r.keys.Find(ctx, keys.Request{Domain: k.Domain, Selector: k.Selector, Query: []string{method}})
	switch {
	case errors.Is(err, keys.ErrNotFound):
		step.Seen, step.Cause = nothing, where(k, method)
		return step, false
	case errors.Is(err, keys.ErrRevoked):
		step.Seen, step.Cause = "revoked (empty p=)", "nothing that this key signs is believed any more: publish a new key under a new selector"
		return step, true
	case err != nil:
		step.Seen, step.Cause = err.Error(), "receivers that cannot look the key up answer 503, and messages wait"
		return step, false
	}
	step.Verdict = OK
	var seen []string
	for _, record := range found.Records {
		seen = append(seen, describe(record))
	}
	step.Seen = strings.Join(seen, "; and ")
	step.Verdict, step.Cause = judgeRecord(k, found.Records)
	return step, true
}

func where(k Key, method string) string {
	if method == dkim.MethodWellKnown {
		return "needs SRV records at _domainkey_lookup._tcp." + k.Domain + " and the gateway that answers there"
	}
	return "needs a TXT record at " + k.Selector + "._domainkey." + k.Domain + " as calfed dns prints it"
}

func describe(r *dkim.Record) string {
	text := r.KeyType
	if public, ok := r.Public.(*rsa.PublicKey); ok {
		text += fmt.Sprintf(" of %d bits", public.N.BitLen())
	}
	if len(r.Services) > 0 {
		text += ", s=" + strings.Join(r.Services, ":")
	}
	if r.Testing {
		text += ", t=y"
	}
	if r.Strict {
		text += ", t=s"
	}
	return text
}

// judgeRecord says what receivers make of the records.
func judgeRecord(k Key, records []*dkim.Record) (Verdict, string) {
	if k.Record != "" {
		want, err := dkim.ParseRecord(k.Record)
		if err == nil && !slices.ContainsFunc(records, func(got *dkim.Record) bool { return sameKey(got, want) }) {
			return Failed, "another key is published than the one that signs: publish what calfed dns prints; a selector is never used again"
		}
	}
	for _, record := range records {
		public, isRSA := record.Public.(*rsa.PublicKey)
		switch {
		case record.Testing:
			return Failed, "t=y: receivers treat such a signature as none; remove the flag"
		case isRSA && (public.N.BitLen() < 1024 || public.N.BitLen() > 4096):
			return Failed, "no receiver takes a key of this size: make one of 2048 bits"
		case isRSA && public.N.BitLen() < 2048:
			return Warning, "most receivers want 2048 bits: make a new key under a new selector"
		case len(record.Services) > 0 && !slices.Contains(record.Services, "*"):
			return Warning, "Cyrus and DAViCal refuse keys that are for calendars only: leave s= out"
		}
	}
	if len(records) > 1 {
		return Warning, "several records at one selector: receivers try each, and some the first only"
	}
	return OK, ""
}

func sameKey(a, b *dkim.Record) bool {
	public, ok := a.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.Public)
}
