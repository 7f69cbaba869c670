package dkim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calfed/calfed/gateway/dkim"
)

const minimal = "v=1; a=rsa-sha256; d=sender.example; s=sel; h=Originator; bh=aGFzaA==; b=dmFsdWU="

// Proves: IS-DKIM-6
func TestParseSignature(t *testing.T) {
	base := dkim.Signature{
		Algorithm: "rsa-sha256", Canonicalization: "simple/simple", Domain: "sender.example", Selector: "sel",
		Identity: "@sender.example", Headers: []string{"Originator"}, Query: []string{"dns/txt"},
		BodyHash: []byte("hash"), Value: []byte("value"),
	}
	for _, tc := range []struct {
		name, value string
		change      func(*dkim.Signature)
	}{
		{"absent tags have their defaults", minimal, func(*dkim.Signature) {}},
		{"a trailing semicolon is allowed", minimal + "; ", func(*dkim.Signature) {}},
		{"a blank after the field name is allowed", "  " + minimal, func(*dkim.Signature) {}},
		{"unknown tags are ignored", "http=POST; " + minimal + "; zz_9=", func(*dkim.Signature) {}},
		{
			"tags come in any order, folded, with blanks inside lists and base64",
			"b=dm Fs\r\n\tdWU=;bh = aGFz\n aA==\t; h=Originator : \r\n recipient ;s=SEL.B;d=Sender.Example;a=RSA-sha256;v=1;" +
				"q=private-exchange : HTTP/well-known; c=Ischedule-Relaxed/Simple; t=1; x=999999999999; i=x@a.sender.example",
			func(s *dkim.Signature) {
				s.Selector, s.Headers = "sel.b", []string{"Originator", "recipient"}
				s.Query = []string{"private-exchange", "http/well-known"}
				s.Canonicalization = "ischedule-relaxed/simple"
				s.Time, s.Expires = time.Unix(1, 0), time.Unix(999999999999, 0)
				s.Identity = "x@a.sender.example"
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dkim.ParseSignature(tc.value)
			if err != nil {
				t.Fatal(err)
			}
			want := base
			tc.change(&want)
			if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(dkim.Signature{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Proves: IS-DKIM-6, IS-DKIM-7, IS-RECV-1
func TestParseSignatureRefuses(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("%q is not in the minimal signature", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	tags := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "; z%d=", i)
		}
		return b.String()
	}
	for _, tc := range []struct{ name, value, want string }{
		{"nothing", "", dkim.ReasonSyntax},
		{"blanks only", " ", dkim.ReasonSyntax},
		{"a field above 8 KiB", minimal + "; z=" + strings.Repeat("z", 8<<10), dkim.ReasonSyntax},
		{"65 tags", minimal + tags(58), dkim.ReasonSyntax},
		{"a tag twice", minimal + "; d=sender.example", dkim.ReasonSyntax},
		{"an unknown tag twice", minimal + "; z=1; z=1", dkim.ReasonSyntax},
		{"an empty tag", minimal + ";; z=1", dkim.ReasonSyntax},
		{"a tag without =", minimal + "; z", dkim.ReasonSyntax},
		{"a tag name with a digit first", minimal + "; 1z=", dkim.ReasonSyntax},
		{"a tag name with a blank", minimal + "; z z=", dkim.ReasonSyntax},
		{"a control character", minimal + "; z=\x01", dkim.ReasonSyntax},
		{"a non-ASCII character", minimal + "; z=ä", dkim.ReasonSyntax},
		{"a line end that is no fold", minimal + ";\r\nz=1", dkim.ReasonSyntax},
		{"a bare CR", minimal + ";\r z=1", dkim.ReasonSyntax},
		{"no v=", replace("v=1; ", ""), dkim.ReasonVersion},
		{"v=2", replace("v=1", "v=2"), dkim.ReasonVersion},
		{"V=1", replace("v=1", "V=1"), dkim.ReasonVersion},
		{"no a=", replace("a=rsa-sha256; ", ""), dkim.ReasonSyntax},
		{"no d=", replace("d=sender.example; ", ""), dkim.ReasonSyntax},
		{"no s=", replace("s=sel; ", ""), dkim.ReasonSyntax},
		{"no h=", replace("h=Originator; ", ""), dkim.ReasonSyntax},
		{"no bh=", replace("bh=aGFzaA==; ", ""), dkim.ReasonSyntax},
		{"no b=", replace("; b=dmFsdWU=", ""), dkim.ReasonSyntax},
		{"an empty b=", replace("b=dmFsdWU=", "b="), dkim.ReasonSyntax},
		{"b= that is not base64", replace("b=dmFsdWU=", "b=dmFs*WU="), dkim.ReasonSyntax},
		{"b= with stray bits, a second spelling of one value", replace("b=dmFsdWU=", "b=dmFsdWV="), dkim.ReasonSyntax},
		{"d= that leaves its path segment", replace("d=sender.example", "d=../sender.example"), dkim.ReasonSyntax},
		{"d= with a percent sign", replace("d=sender.example", "d=sender%2fexample"), dkim.ReasonSyntax},
		{"d= with an underscore", replace("d=sender.example", "d=_dmarc.example"), dkim.ReasonSyntax},
		{"d= with an empty label", replace("d=sender.example", "d=sender..example"), dkim.ReasonSyntax},
		{"d= with a dot at its end", replace("d=sender.example", "d=sender.example."), dkim.ReasonSyntax},
		{"d= with a hyphen outside", replace("d=sender.example", "d=-sender.example"), dkim.ReasonSyntax},
		{"d= with a label of 64", replace("d=sender.example", "d="+strings.Repeat("a", 64)+".example"), dkim.ReasonSyntax},
		{"d= above 253", replace("d=sender.example", "d="+strings.Repeat("a.", 127)+"example"), dkim.ReasonSyntax},
		{"s= with a slash", replace("s=sel", "s=sel/x"), dkim.ReasonSyntax},
		{"s= with a blank", replace("s=sel", "s=s el"), dkim.ReasonSyntax},
		{"s= that is a dot", replace("s=sel", "s=."), dkim.ReasonSyntax},
		{"s= that makes the name too long", replace("s=sel", "s="+strings.Repeat("a.", 115)+"a"), dkim.ReasonSyntax},
		{"h= with an empty name", replace("h=Originator", "h=Originator::Recipient"), dkim.ReasonSyntax},
		{"h= with a name that is no token", replace("h=Originator", "h=Origi nator"), dkim.ReasonSyntax},
		{"h= with 65 names", replace("h=Originator", "h=a"+strings.Repeat(":a", 64)), dkim.ReasonSyntax},
		{"t= with 13 digits", minimal + "; t=1000000000000", dkim.ReasonSyntax},
		{"t= with a sign", minimal + "; t=-1", dkim.ReasonSyntax},
		{"an empty t=", minimal + "; t=", dkim.ReasonSyntax},
		{"x= that is a word", minimal + "; x=never", dkim.ReasonSyntax},
		{"an empty q=", minimal + "; q=", dkim.ReasonSyntax},
		{"an empty i=", minimal + "; i=", dkim.ReasonSyntax},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sig, err := dkim.ParseSignature(tc.value)
			if got := reasonOf(t, err); got != tc.want {
				t.Errorf("got %+v, %v, want %s", sig, err, tc.want)
			}
		})
	}
}

// Proves: IS-DKIM-6
func TestFieldsGivesAtMostFour(t *testing.T) {
	if _, err := dkim.Fields(http.Header{}); reasonOf(t, err) != dkim.ReasonMissing {
		t.Errorf("without a signature: %v", err)
	}
	h := http.Header{"Dkim-Signature": {"1", "2", "3", "4", "5"}}
	got, err := dkim.Fields(h)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", "2", "3", "4"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
