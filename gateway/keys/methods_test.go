package keys_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/keys"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// countingDNS answers nothing and notes what was asked.
type countingDNS struct {
	n     int
	asked []string
	txt   [][]string
}

func (d *countingDNS) LookupSRV(context.Context, string) ([]resolver.SRV, resolver.Answer, error) {
	d.n++
	d.asked = append(d.asked, dkim.MethodWellKnown)
	return nil, resolver.Answer{TTL: time.Minute}, nil
}

func (d *countingDNS) LookupTXT(context.Context, string) ([][]string, resolver.Answer, error) {
	d.n++
	d.asked = append(d.asked, dkim.MethodDNS)
	return d.txt, resolver.Answer{TTL: time.Minute}, nil
}

func (d *countingDNS) Forget(string) {}

// Which methods are asked, in which order.
//
// Proves: IS-DKIM-9
func TestMethods(t *testing.T) {
	a, b := record(t), record(t)
	const tx, wk, pe = dkim.MethodDNS, dkim.MethodWellKnown, dkim.MethodPrivate
	pin := func(domain, selector, record string) snapshot.PinnedKey {
		return snapshot.PinnedKey{Domain: domain, Selector: selector, Record: record}
	}
	policy := func(lookup []string, pins ...snapshot.PinnedKey) *snapshot.Inbound {
		return &snapshot.Inbound{KeyLookup: lookup, PinnedKeys: pins}
	}
	for _, tc := range []struct {
		name    string
		query   []string
		policy  *snapshot.Inbound
		asked   []string
		wantErr string
		want    []string // pinned records found
	}{
		{"q= decides the order", []string{wk, tx}, nil, []string{wk, tx}, "not found", nil},
		{"the other way round", []string{tx, wk}, nil, []string{tx, wk}, "not found", nil},
		{"no q= means DNS", nil, nil, []string{tx}, "not found", nil},
		{"unknown methods are skipped", []string{"ldap/x", pe, "HTTP/Well-Known"}, nil, []string{wk}, "not found", nil},
		{"a method twice is asked once", []string{tx, tx}, nil, []string{tx}, "not found", nil},
		{"only unknown methods", []string{"ldap/x"}, nil, nil, "method", nil},
		{"private-exchange alone, without a pin", []string{pe}, nil, nil, "method", nil},
		{"the policy narrows", []string{tx, wk}, policy([]string{wk}), []string{wk}, "not found", nil},
		{"the policy leaves none", []string{tx}, policy([]string{wk}), nil, "method", nil},
		{"the policy wants pins and has none", []string{tx, pe}, policy([]string{pe}), nil, "method", nil},
		{"a pin applies whatever q= says", []string{tx}, policy(nil, pin("", "sel", a)), nil, "", []string{a}},
		{"a pin satisfies private-exchange", []string{pe}, policy(nil, pin("sender.test", "sel", a)), nil, "", []string{a}},
		{"names of a pin have no case", nil, policy(nil, pin("Sender.TEST", "SEL", a)), nil, "", []string{a}},
		{"two pins for one selector", nil, policy(nil, pin("", "sel", a), pin("sender.test", "sel", b)), nil, "", []string{a, b}},
		{"pins exclude the rest, for other selectors too", []string{tx, wk}, policy(nil, pin("", "other", a)), nil, "not found", nil},
		{"unless keyLookup lists them", []string{tx, wk}, policy([]string{tx}, pin("", "other", a)), []string{tx}, "not found", nil},
		{"a pin that matches is enough, also then", []string{tx}, policy([]string{tx}, pin("", "sel", a)), nil, "", []string{a}},
		{"a pin for another domain excludes nothing", []string{tx}, policy(nil, pin("other.test", "sel", a)), []string{tx}, "not found", nil},
		{"a revoked pin", []string{tx}, policy([]string{tx}, pin("", "sel", "p=")), nil, "revoked", nil},
		{"a pin that cannot be read", []string{tx}, policy([]string{tx}, pin("", "sel", "?")), nil, "not found", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &countingDNS{}
			l := keys.New(keys.Config{DNS: d})
			defer l.Close()
			req := request(tc.query...)
			req.Policy = tc.policy
			found, err := l.Find(t.Context(), req)
			if got := class(t, err); got != tc.wantErr {
				t.Errorf("got %v, want %q", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.asked, d.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if tc.want != nil && (!keyed(t, found, tc.want...) || found.Method != pe) {
				t.Errorf("found %+v", found)
			}
			// Pins need neither network nor cache; nothing else is there without having been asked.
			cached, ok := l.Cached(req)
			if ok != (tc.want != nil) || ok && !keyed(t, cached, tc.want...) {
				t.Errorf("Cached: %+v, %v", cached, ok)
			}
			if _, asked, err := l.Refresh(t.Context(), req); asked || err != nil || len(d.asked) != len(tc.asked) {
				t.Errorf("Refresh asked: %v, %v", asked, err)
			}
		})
	}
}

// Proves: IS-DKIM-9, IS-DKIM-10, IS-DKIM-13
func TestMethodsTogether(t *testing.T) {
	a := record(t)
	const tx, wk = dkim.MethodDNS, dkim.MethodWellKnown
	down := "_domainkey_lookup._tcp.sender.test. IN SRV 0 0 1024 gone.sender.test.\n" // nobody listens there
	for _, tc := range []struct {
		name    string
		query   []string
		zone    string
		wantErr string
		method  string
	}{
		{"the next method is asked when one has none", []string{wk, tx}, txt(600, a), "", tx},
		{"a key counts although another method is down", []string{wk, tx}, txt(600, a) + down, "", tx},
		{"a method that is down, and none in the other", []string{wk, tx}, down, "temporary", ""},
		{"none in the first, the second down", []string{tx, wk}, down, "temporary", ""},
		{"the first key ends it", []string{tx, wk}, txt(600, a) + down, "", tx},
		{"revoked in the first is final", []string{tx, wk}, txt(600, "p=") + down, "revoked", ""},
		{"revoked in the second, the first down", []string{wk, tx}, txt(600, "p=") + down, "revoked", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.zone)
			found, err := w.find(request(tc.query...))
			if got := class(t, err); got != tc.wantErr {
				t.Fatalf("got %v, want %q", err, tc.wantErr)
			}
			if tc.method != "" && (!keyed(t, found, a) || found.Method != tc.method) {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// Proves: IS-DKIM-9
func TestAMethodTwiceIsAskedOnceAlsoWhenItFails(t *testing.T) {
	w := newWorld(t, "")
	w.dns.Fail("sel._domainkey.sender.test", dns.RcodeServerFailure)
	if _, err := w.find(request(dkim.MethodDNS)); class(t, err) != "temporary" {
		t.Fatal(err)
	}
	once := w.asked()
	if _, err := w.find(request(dkim.MethodDNS, dkim.MethodDNS, "DNS/TXT")); class(t, err) != "temporary" {
		t.Fatal(err)
	}
	if got := w.asked() - once; got != once {
		t.Errorf("asked %d times, want %d", got, once)
	}
}

// A key in the method asked second does not hide that the first one revoked it.
//
// Proves: IS-DKIM-10
func TestRevocationIsFinal(t *testing.T) {
	w := newWorld(t, "")
	s := w.keyServer(document("v=DKIM1; p=\r\n"), goodLeaf)
	w.replace(srv(0, "keys.sender.test", s) + txt(600, record(t)))
	for range 2 { // the second time from the cache
		if _, err := w.find(request(dkim.MethodWellKnown, dkim.MethodDNS)); class(t, err) != "revoked" {
			t.Errorf("got %v", err)
		}
	}
	if w.asked() != 0 {
		t.Error("DNS was asked although the key is revoked")
	}
}

// Errors say which method failed and why, for whoever has to find out.
//
// Proves: IS-DKIM-13
func TestErrorsNameTheMethod(t *testing.T) {
	for _, tc := range []struct{ name, zone, class, want string }{
		{"down", "_domainkey_lookup._tcp.sender.test. IN SRV 0 0 1024 gone.sender.test.\n", "temporary", "gone.sender.test"},
		{"refused", "_domainkey_lookup._tcp.sender.test. IN SRV 0 0 443 far.sender.test.\n", "not found", "10.1.2.3"},
		{"no server", "", "not found", "no key server"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := newWorld(t, tc.zone).find(request(dkim.MethodWellKnown))
			if class(t, err) != tc.class || !strings.Contains(err.Error(), dkim.MethodWellKnown+": ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
