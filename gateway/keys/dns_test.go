package keys_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/keys"
)

// Proves: IS-DKIM-10, IS-DKIM-13
func TestDNSRecords(t *testing.T) {
	a, b := record(t), record(t)
	var many strings.Builder
	for range 6 {
		many.WriteString(txt(600, record(t)))
	}
	for _, tc := range []struct {
		name    string
		zone    string
		want    []string // records; nil = an error
		count   int      // when want is nil
		wantErr string
	}{
		{name: "one record", zone: txt(600, a), want: []string{a}},
		{name: "the strings of a record are joined without a blank", zone: txt(600, a[:5], a[5:30], a[30:]), want: []string{a}},
		{name: "several records are all found", zone: txt(600, a) + txt(600, b), want: []string{a, b}},
		{name: "at most four are", zone: many.String(), count: 4},
		{name: "others are left out", zone: txt(600, "v=spf1 -all") + txt(600, a) + txt(600, "p=*"), want: []string{a}},
		{name: "only others", zone: txt(600, "v=spf1 -all"), wantErr: "not found"},
		{name: "no record", zone: "", wantErr: "not found"},
		{name: "an empty p=", zone: txt(600, "v=DKIM1; p="), wantErr: "revoked"},
		{name: "an empty p= beside a key", zone: txt(600, a) + txt(600, "p="), wantErr: "revoked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.zone)
			found, err := w.find(request(dkim.MethodDNS))
			if got := class(t, err); got != tc.wantErr {
				t.Fatalf("got %v, want %q", err, tc.wantErr)
			}
			switch {
			case tc.wantErr != "":
			case tc.want == nil:
				if len(found.Records) != tc.count {
					t.Errorf("%d records, want %d", len(found.Records), tc.count)
				}
			case !keyed(t, found, tc.want...) || found.Method != dkim.MethodDNS || found.Cached != 0:
				t.Errorf("got %+v", found)
			}
		})
	}
}

// Proves: IS-DKIM-13
func TestDNSFailureIsTemporary(t *testing.T) {
	a := record(t)
	w := newWorld(t, txt(600, a))
	w.dns.Fail("sel._domainkey.sender.test", dns.RcodeServerFailure)
	if _, err := w.find(request()); class(t, err) != "temporary" {
		t.Errorf("got %v", err)
	}
	// It is not remembered.
	w.dns.Fail("sel._domainkey.sender.test", dns.RcodeSuccess)
	if found, err := w.find(request()); err != nil || !keyed(t, found, a) {
		t.Errorf("got %v, %v", found, err)
	}
	// Likewise where the key server should be found.
	w.dns.Fail("_domainkey_lookup._tcp.sender.test", dns.RcodeServerFailure)
	if _, err := w.find(request(dkim.MethodWellKnown)); class(t, err) != "temporary" {
		t.Errorf("got %v", err)
	}
}

// Names that could leave their place are never asked for.
//
// Proves: IS-RECV-1, IS-DKIM-11
func TestOddNamesAreNotAsked(t *testing.T) {
	counting := &countingDNS{}
	l := keys.New(keys.Config{DNS: counting})
	defer l.Close()
	long := strings.TrimSuffix(strings.Repeat("a.", 126), ".")
	for _, tc := range []struct{ domain, selector string }{
		{"../x", "sel"}, {"sender.test/..", "sel"}, {"sender%2ftest", "sel"}, {"", "sel"}, {"sender.test.", "sel"}, {"sender..test", "sel"},
		{"sender.test", ""}, {"sender.test", ".."}, {"sender.test", "a/b"}, {"sender.test", "a?b"}, {"sender.test", "a#b"},
		{"sender.test", "a b"}, {"sender.test", "-a"}, {"sender.test", "ä"}, {"sender.test", "a\r\nb"}, {long + ".aa", "sel"},
	} {
		req := keys.Request{Domain: tc.domain, Selector: tc.selector, Query: []string{dkim.MethodDNS, dkim.MethodWellKnown}}
		if _, err := l.Find(t.Context(), req); class(t, err) != "not found" {
			t.Errorf("%q, %q: %v", tc.domain, tc.selector, err)
		}
		if _, ok := l.Cached(req); ok {
			t.Errorf("%q, %q: cached", tc.domain, tc.selector)
		}
	}
	if counting.n != 0 {
		t.Errorf("%d questions asked", counting.n)
	}
}

// Labels that are fine, but too long together, have no key and do not fail for now only.
//
// Proves: IS-DKIM-13
func TestNamesTooLongHaveNoKey(t *testing.T) {
	w := newWorld(t, "")
	req := keys.Request{
		Domain: strings.Repeat("a.", 100) + "test", Selector: strings.Repeat("b", 60), Query: []string{dkim.MethodDNS, dkim.MethodWellKnown},
	}
	if _, err := w.find(req); class(t, err) != "not found" {
		t.Error(err)
	}
	req.Domain = strings.Repeat("a.", 120) + "test"
	if _, err := w.find(req); class(t, err) != "not found" {
		t.Error(err)
	}
}

// Proves: IS-DKIM-10
func FuzzKeyDocument(f *testing.F) {
	good := record(f)
	f.Add(good + "\r\n" + good)
	f.Add("v=DKIM1; p=\n")
	f.Add(strings.Repeat(good+"\n", 40))
	f.Add("\r\n\n \n<html>")
	f.Fuzz(func(t *testing.T, doc string) {
		texts := keys.Lines(doc)
		if len(texts) > 16 {
			t.Errorf("%d lines", len(texts))
		}
		records, revoked := keys.Read(texts)
		if records > 4 || revoked && records > 0 {
			t.Errorf("%d records, revoked %v", records, revoked)
		}
		revoking := false
		for i, text := range texts {
			if text == "" || strings.ContainsAny(text, "\n") {
				t.Errorf("line %d is %q", i, text)
			}
			rec, err := dkim.ParseRecord(text)
			revoking = revoking || err == nil && rec.Revoked
		}
		if revoking != revoked {
			t.Errorf("revoked %v, want %v", revoked, revoking)
		}
	})
}
