package cua_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/cua"
)

// Proves: IS-ADDR-1, IS-DISC-1
func TestParseReadsWhatIsAnAddress(t *testing.T) {
	type parts struct{ Scheme, Local, Domain, URI string }
	for _, tc := range []struct {
		rule, in string
		want     parts
	}{
		{"a mailto URI", "mailto:cyrus@example.org", parts{"mailto", "cyrus", "example.org", "mailto:cyrus@example.org"}},
		{"a bare address reads as mailto", "guest@gw.example", parts{"mailto", "guest", "gw.example", "mailto:guest@gw.example"}},
		{"the scheme's case does not matter, the spelling stays", "MailTo:a@example.org", parts{"mailto", "a", "example.org", "MailTo:a@example.org"}},
		{"the domain is lower-cased, the local part is not", "mailto:Mike@EXAMPLE.Org", parts{"mailto", "Mike", "example.org", "mailto:Mike@EXAMPLE.Org"}},
		{"percent-encoding is decoded once", "mailto:a%2Bb@ex%61mple.org", parts{"mailto", "a+b", "example.org", "mailto:a%2Bb@ex%61mple.org"}},
		{"and only once", "mailto:a%2540b@example.org", parts{"mailto", "a%40b", "example.org", "mailto:a%2540b@example.org"}},
		{"atext specials stand in a local part", "mailto:o'brien+x=y_!$&*@example.org", parts{"mailto", "o'brien+x=y_!$&*", "example.org", "mailto:o'brien+x=y_!$&*@example.org"}},
		{"an escaped question mark belongs to the local part", "mailto:a%3Fb@example.org", parts{"mailto", "a?b", "example.org", "mailto:a%3Fb@example.org"}},
		{"a U-label domain becomes an A-label", "mailto:a@Bücher.example", parts{"mailto", "a", "xn--bcher-kva.example", "mailto:a@Bücher.example"}},
		{"percent-encoded UTF-8 too", "mailto:j%C3%BCrgen@b%C3%BCcher.example", parts{"mailto", "jürgen", "xn--bcher-kva.example", "mailto:j%C3%BCrgen@b%C3%BCcher.example"}},
		{"ideographic full stops separate labels", "a@例え。テスト", parts{"mailto", "a", "xn--r8jz45g.xn--zckzah", "mailto:a@例え。テスト"}},
		{"a single label is a domain", "mailto:a@localhost", parts{"mailto", "a", "localhost", "mailto:a@localhost"}},
		{"a host of another scheme is its domain", "https://Cal.Example.org:8443/principals/a", parts{"https", "", "cal.example.org", "https://Cal.Example.org:8443/principals/a"}},
		{"an internationalised host too", "https://münchen.example/a", parts{"https", "", "xn--mnchen-3ya.example", "https://münchen.example/a"}},
		{"no host, no route", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", parts{"urn", "", "", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}},
		{"an IPv4 host is no route", "https://192.0.2.1/a", parts{"https", "", "", "https://192.0.2.1/a"}},
		{"an IPv6 host is no route", "https://[2001:db8::1]:443/a", parts{"https", "", "", "https://[2001:db8::1]:443/a"}},
		{"an empty host is no route", "file:///etc/passwd", parts{"file", "", "", "file:///etc/passwd"}},
		{"sip names no host in the generic syntax", "sip:a@example.org", parts{"sip", "", "", "sip:a@example.org"}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			a, err := cua.Parse(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, parts{a.Scheme(), a.Local(), a.Domain(), a.URI()}); diff != "" {
				t.Error(diff)
			}
			if a.String() != tc.in {
				t.Errorf("String() = %q, want the spelling %q", a.String(), tc.in)
			}
		})
	}
}

// Proves: IS-ADDR-1
func TestAMailboxIsNoURI(t *testing.T) {
	for mailbox, local := range map[string]string{
		"ada@sender.example": "ada", "ad%61@sender.example": "ad%61", "50%@sender.example": "50%", "a?b#c@sender.example": "a?b#c",
		"mailto:ada@sender.example": "", "ada%40sender.example": "", "a,b@sender.example": "",
	} {
		a, err := cua.FromMailbox(mailbox)
		if a.Local() != local || (err != nil) != (local == "") {
			t.Errorf("%s: %q, %v", mailbox, a.Local(), err)
		}
		if back, err := cua.Parse(a.URI()); local != "" && (err != nil || !back.Equal(a)) {
			t.Errorf("%s: %s, %v", mailbox, a.URI(), err)
		}
	}
}

// Proves: IS-ADDR-1
func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ rule, in string }{
		{"nothing", ""},
		{"a scheme alone", "mailto:"},
		{"a name without @", "mailto:cyrus"},
		{"no local part", "mailto:@example.org"},
		{"no domain", "mailto:cyrus@"},
		{"two @", "mailto:a@b@example.org"},
		{"an escaped second @", "mailto:a%40b@example.org"},
		{"an escaped second @ in a bare address", "a%40b@example.org"},
		{"header fields", "mailto:a@example.org?cc=b@example.org"},
		{"a fragment", "mailto:a@example.org#x"},
		{"a number sign in the local part", "mailto:a#b@example.org"},
		{"a question mark in a bare address", "a?b@example.org"},
		{"two addresses", "mailto:a@example.org,b@example.org"},
		{"an escaped comma", "mailto:a%2Cb@example.org"},
		{"a semicolon list", "mailto:a;b@example.org"},
		{"a display name", "Cyrus <cyrus@example.org>"},
		{"a quoted local part", `mailto:"a b"@example.org`},
		{"an escaped quote", "mailto:%22a%22@example.org"},
		{"a blank", "mailto:a b@example.org"},
		{"an outer blank", " mailto:a@example.org"},
		{"an escaped blank", "mailto:a%20b@example.org"},
		{"a no-break space", "mailto:a\u00a0b@example.org"},
		{"a zero-width space", "mailto:a\u200bb@example.org"},
		{"a bidirectional override", "mailto:a\u202eb@example.org"},
		{"a line break", "mailto:a\r\nb@example.org"},
		{"an escaped line break", "mailto:a%0D%0Ab@example.org"},
		{"an escaped NUL", "mailto:a%00@example.org"},
		{"a C1 control", "mailto:a\u0085b@example.org"},
		{"a slash", "mailto:a/b@example.org"},
		{"an escaped slash", "mailto:..%2f..%2fa@example.org"},
		{"a backslash", `mailto:a\b@example.org`},
		{"an escaped backslash", "mailto:a%5Cb@example.org"},
		{"an authority part", "mailto://a@example.org"},
		{"malformed percent-encoding", "mailto:a%zz@example.org"},
		{"cut percent-encoding", "mailto:a@example.org%4"},
		{"invalid UTF-8", "mailto:a\xff@example.org"},
		{"escaped invalid UTF-8", "mailto:a%FF@example.org"},
		{"a dot-segment local part", "mailto:..@example.org"},
		{"a leading dot", "mailto:.a@example.org"},
		{"an IPv4 literal", "mailto:a@[192.0.2.1]"},
		{"an IPv4 address", "mailto:a@192.0.2.1"},
		{"a full-width IPv4 address", "mailto:a@１９２.０.２.１"},
		{"an IPv6 literal", "mailto:a@[IPv6:2001:db8::1]"},
		{"an underscore in the domain", "mailto:a@ex_ample.org"},
		{"a port in the domain", "mailto:a@example.org:25"},
		{"a trailing dot", "mailto:a@example.org."},
		{"an empty label", "mailto:a@example..org"},
		{"a blank in the domain", "mailto:a@exam ple.org"},
		{"a full-width slash in the domain", "mailto:a@ex／ample.org"},
		{"a broken A-label", "mailto:a@xn--a.example"},
		{"a mixed-direction label", "mailto:a@אa.example"},
		{"a long local part", "mailto:" + strings.Repeat("a", 255) + "@example.org"},
		{"a long label", "mailto:a@" + strings.Repeat("a", 64) + ".org"},
		{"a long domain", "mailto:a@" + strings.Repeat("a.", 127) + "org"},
		{"an endless address", "mailto:" + strings.Repeat("%41", 700) + "@example.org"},
		{"a URI with user information", "https://example.org@evil.example/"},
		{"a URI with a bad host", "https://-a-.example/"},
		{"a URI with a blank", "https://example.org/a b"},
		{"a URI with a comma", "https://example.org/a,b"},
		{"a URI with a backslash", `https://example.org\@evil.example/`},
		{"a URI with an escaped control", "https://example.org/%0a"},
		{"a URI with malformed percent-encoding", "https://example.org/%"},
		{"a URI with a bad port", "https://example.org:x/"},
		{"a URI with two ports", "https://example.org:1:2/"},
		{"a URI with an open bracket", "https://[::1/"},
		{"a scheme of another kind alone", "urn:"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			a, err := cua.Parse(tc.in)
			var ce *cua.Error
			if !errors.As(err, &ce) {
				t.Fatalf("Parse(%q) = %+v, %v; want an *Error", tc.in, a, err)
			}
			if !a.IsZero() {
				t.Errorf("address %+v beside an error", a)
			}
			if ce.Reason == "" || strings.ContainsAny(ce.Error(), "\r\n\x00") {
				t.Errorf("unusable reason %q", ce.Error())
			}
		})
	}
}

// Proves: IS-ADDR-1
func TestKeyJoinsSpellingsOfOneAddress(t *testing.T) {
	for _, tc := range []struct {
		rule, a, b string
		want       bool
	}{
		{"mailto and bare", "mailto:a@example.org", "a@example.org", true},
		{"scheme case", "MAILTO:a@example.org", "mailto:a@example.org", true},
		{"domain case", "mailto:a@EXAMPLE.org", "mailto:a@example.org", true},
		{"percent-encoding", "mailto:%61@example%2Eorg", "mailto:a@example.org", true},
		{"hex digits' case", "mailto:a%2bb@example.org", "mailto:a%2Bb@example.org", true},
		{"U-label and A-label", "mailto:a@bücher.example", "mailto:a@XN--BCHER-KVA.example", true},
		{"local part case counts", "mailto:A@example.org", "mailto:a@example.org", false},
		{"sub-addresses differ", "mailto:a+x@example.org", "mailto:a@example.org", false},
		{"double encoding is another address", "mailto:a%2541@example.org", "mailto:aA@example.org", false},
		{"host case of a URI", "HTTPS://Example.org/a", "https://example.org/a", true},
		{"path case of a URI counts", "https://example.org/A", "https://example.org/a", false},
		{"unreserved escapes in a URI", "https://example.org/%7Ea", "https://example.org/~a", true},
		{"reserved escapes in a URI", "https://example.org/a%2Fb", "https://example.org/a/b", false},
		{"the scheme of a URI counts", "http://example.org/a", "https://example.org/a", false},
		{"the port of a URI counts", "https://example.org:1/a", "https://example.org/a", false},
		{"an empty port does not", "https://example.org:/a", "https://example.org/a", true},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			a, b := cua.MustParse(tc.a), cua.MustParse(tc.b)
			if got := a.Equal(b); got != tc.want {
				t.Errorf("%q equal to %q: %v, want %v", a.Key(), b.Key(), got, tc.want)
			}
			if (a.Key() == b.Key()) != tc.want {
				t.Errorf("Key disagrees with Equal: %q, %q", a.Key(), b.Key())
			}
		})
	}
}

// Proves: IS-ADDR-1
func TestDomain(t *testing.T) {
	for _, tc := range []struct{ rule, in, want string }{
		{"lower-cased", "Example.ORG", "example.org"},
		{"without its trailing dot", "example.org.", "example.org"},
		{"a single label", "localhost", "localhost"},
		{"A-label stays", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"U-label with sharp s stays one of its own", "faß.example", "xn--fa-hia.example"},
		{"hyphens in third and fourth place are LDH", "r3---sn.example", "r3---sn.example"},
		{"digits in other labels", "1.2.3.example", "1.2.3.example"},
		{"63 octets", strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example"},
		{"nothing", "", ""},
		{"the root", ".", ""},
		{"two trailing dots", "example.org..", ""},
		{"64 octets", strings.Repeat("a", 64) + ".example", ""},
		{"254 octets", strings.Repeat("a.", 125) + "abcd", ""},
		{"a leading hyphen", "-a.example", ""},
		{"a trailing hyphen", "a-.example", ""},
		{"an underscore", "_tcp.example", ""},
		{"a wildcard", "*.example", ""},
		{"a blank", "a b.example", ""},
		{"a slash", "a/b.example", ""},
		{"dotted quad", "192.0.2.1", ""},
		{"short IPv4", "127.1", ""},
		{"hexadecimal IPv4", "0x7f000001", ""},
		{"IPv6", "2001:db8::1", ""},
		{"IPv6 literal", "[::1]", ""},
		{"an A-label of nothing", "xn--.example", ""},
		{"an A-label of ASCII", "xn--ascii-.example", ""},
		{"a lone joiner", "\u200dabc.example", ""},
		{"invalid UTF-8", "\xffabc.example", ""},
		{"an endless name", strings.Repeat("ü", 2000), ""},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, err := cua.Domain(tc.in)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("Domain(%q) = %q, %v; want %q", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestWithinDomain(t *testing.T) {
	for _, tc := range []struct {
		name, parent string
		want         bool
	}{
		{"example.org", "example.org", true},
		{"a.example.org", "example.org", true},
		{"a.b.example.org", "example.org", true},
		{"badexample.org", "example.org", false},
		{"example.org", "a.example.org", false},
		{"example.org", "", false},
		{"", "", false},
	} {
		if got := cua.WithinDomain(tc.name, tc.parent); got != tc.want {
			t.Errorf("WithinDomain(%q, %q) = %v", tc.name, tc.parent, got)
		}
	}
}

func TestZeroAddress(t *testing.T) {
	var a cua.Address
	if !a.IsZero() || a.URI() != "" || a.String() != "" || a.Domain() != "" {
		t.Errorf("%+v", a)
	}
	if a.Equal(cua.MustParse("mailto:a@example.org")) {
		t.Error("no address equals an address")
	}
}

// respell draws another spelling of the same text: some octets percent-encoded.
func respell(t *rapid.T, s string) string {
	var b strings.Builder
	for i := range len(s) {
		if rapid.Bool().Draw(t, "escape") || s[i] == '%' {
			b.WriteString("%" + strings.ToUpper(hexByte(s[i])))
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// Proves: IS-ADDR-1
func TestKeyIsStableUnderSpelling(t *testing.T) {
	local := rapid.StringMatching(`[A-Za-z0-9!$&'*+=_~ü%-]{1,12}(\.[a-z0-9]{1,5})?`)
	domain := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z][a-z0-9]{0,6}){0,2}\.[a-z]{2,5}`).
		Filter(func(s string) bool { return !strings.Contains(s, "xn--") })
	rapid.Check(t, func(t *rapid.T) {
		l, d := local.Draw(t, "local"), domain.Draw(t, "domain")
		plain, err := cua.Parse("mailto:" + strings.ReplaceAll(l, "%", "%25") + "@" + d)
		if err != nil {
			t.Fatal(err)
		}
		host := d
		if rapid.Bool().Draw(t, "upper") {
			host = strings.ToUpper(d)
		}
		scheme := rapid.SampledFrom([]string{"mailto:", "MAILTO:", "Mailto:", ""}).Draw(t, "scheme")
		other, err := cua.Parse(scheme + respell(t, l) + "@" + respell(t, host))
		if err != nil {
			t.Fatal(err)
		}
		if !plain.Equal(other) || plain.Key() != other.Key() {
			t.Fatalf("%q and %q differ: %q, %q", plain, other, plain.Key(), other.Key())
		}
		if other.Local() != l || other.Domain() != d {
			t.Fatalf("%q: local %q domain %q", other, other.Local(), other.Domain())
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"mailto:cyrus@example.org", "guest@gw.example", "mailto:a%2Bb@ex%61mple.org", "a@例え。テスト",
		"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "https://Cal.Example.org:8443/~a?b#c", "https://[::1]/",
		"mailto:a@b@c", "mailto:a%0d@b", "xn--a@xn--a", "%", ":", "@",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := cua.Parse(s)
		if err != nil {
			if !a.IsZero() {
				t.Fatalf("%+v beside %v", a, err)
			}
			return
		}
		if a.String() != s || len(s) > 2048 {
			t.Fatalf("%q became %q", s, a)
		}
		if again := cua.MustParse(a.String()); again != a {
			t.Fatalf("%+v became %+v", a, again)
		}
		if uri := cua.MustParse(a.URI()); !uri.Equal(a) {
			t.Fatalf("URI %q is another address than %q", uri.Key(), a.Key())
		}
		if upper := cua.MustParse(strings.ToUpper(a.Scheme()) + strings.TrimPrefix(a.URI(), a.URI()[:len(a.Scheme())])); !upper.Equal(a) {
			t.Fatalf("scheme case changes %q to %q", a.Key(), upper.Key())
		}
		if d := a.Domain(); d != "" {
			if again, err := cua.Domain(d); err != nil || again != d {
				t.Fatalf("domain %q is not in its own form: %q, %v", d, again, err)
			}
		}
		if a.Scheme() == "mailto" {
			if strings.ContainsAny(a.Local(), "@\",/\\ \t\r\n\x00") || a.Local() == "" || a.Domain() == "" {
				t.Fatalf("local %q, domain %q", a.Local(), a.Domain())
			}
			if a.Key() != "mailto:"+a.Local()+"@"+a.Domain() {
				t.Fatalf("key %q", a.Key())
			}
		}
		if strings.ContainsAny(s, ", \t\r\n\x00\x7f") {
			t.Fatalf("%q cannot stand in a header field's list", s)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, s := range map[string]string{
		"canonical": "mailto:cyrus.daboo@example.org",
		"escaped":   "mailto:cyrus%2Bx@Example.org",
		"idn":       "mailto:cyrus@bücher.example",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cua.Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
