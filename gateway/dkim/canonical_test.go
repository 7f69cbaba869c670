package dkim

import (
	"bufio"
	"crypto/sha256"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// stepwise is ischedule-relaxed as D05 §7.2 tells it, one step after the other, on raw field lines.
func stepwise(name string, values []string) string {
	fold := regexp.MustCompile(`\r?\n([ \t])`)
	runs := regexp.MustCompile(`[ \t]+`)
	commas := regexp.MustCompile(` *, *`)
	joined := ""
	for i, v := range values {
		v = fold.ReplaceAllString(v, "$1")
		if i > 0 {
			joined += ","
		}
		joined += v
	}
	joined = runs.ReplaceAllString(joined, " ")
	joined = strings.Trim(joined, " ")
	return strings.ToLower(name) + ":" + commas.ReplaceAllString(joined, ",") + "\r\n"
}

func canonical(t testing.TB, name string, values ...string) string {
	t.Helper()
	out, ok := iSchedule.appendField(nil, name, values)
	if !ok {
		t.Fatalf("%q cannot be canonicalised", values)
	}
	return string(out)
}

// Proves: IS-DKIM-2
func TestIScheduleRelaxed(t *testing.T) {
	for _, tc := range []struct {
		rule   string
		name   string
		values []string
		want   string
	}{
		{"names are lower-cased, values are not", "SUBJect", []string{"AbC"}, "subject:AbC\r\n"},
		{"equal names are joined in order", "Recipient",
			[]string{"mailto:cyrus@example.com,mailto:mike@example.com", "mailto:ken@example.org"},
			"recipient:mailto:cyrus@example.com,mailto:mike@example.com,mailto:ken@example.org\r\n"},
		{"folds go, blanks around them become one", "A", []string{"b \r\n\t c"}, "a:b c\r\n"},
		{"runs become one blank", "A", []string{"b \t  c"}, "a:b c\r\n"},
		{"outer blanks go", "A", []string{" \tb\t "}, "a:b\r\n"},
		{"a fold right after the colon goes", "A", []string{"\r\n b"}, "a:b\r\n"},
		{"blanks around commas go", "A", []string{"b ,\tc , d,,e"}, "a:b,c,d,,e\r\n"},
		{"blanks around the joint go", "A", []string{"b ", " c"}, "a:b,c\r\n"},
		{"blanks around colons in the value stay", "A", []string{"b : c"}, "a:b : c\r\n"},
		{"an empty value stays a field", "A", []string{" "}, "a:\r\n"},
		{"an empty value is joined too", "A", []string{"", "b", ""}, "a:,b,\r\n"},
		{"other bytes are kept", "A", []string{"\x0bb\u00a0c\x80"}, "a:\x0bb\u00a0c\x80\r\n"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			if got := canonical(t, tc.name, tc.values...); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if got := stepwise(tc.name, tc.values); got != tc.want {
				t.Errorf("step by step: %q, want %q", got, tc.want)
			}
		})
	}
}

// A line end that is no fold would let one field pass for two.
//
// Proves: IS-DKIM-2
func TestLineEndsInValuesAreRefused(t *testing.T) {
	for _, value := range []string{"a\r\nrecipient:b", "a\nb", "a\rb", "a\r b", "a\r\n", "a\n", "\n", "a\x00b", "a\r\r\n b"} {
		if out, ok := iSchedule.appendField(nil, "A", []string{value}); ok {
			t.Errorf("%q became %q", value, out)
		}
	}
}

// As bytes of a request and as net/http delivers them, fields hash alike.
//
// Proves: IS-DKIM-2
func FuzzCanonicalize(f *testing.F) {
	f.Add("Recipient", "mailto:a@b.example , mailto:c@d.example", "e")
	f.Add("x", " a \r\n\t b,\r\n c ", "")
	f.Add("X-Y", ",", "\t")
	f.Add("A", "a\r\nb", "\n ")
	f.Fuzz(func(t *testing.T, name, v1, v2 string) {
		values := []string{v1, v2}
		out, ok := iSchedule.appendField(nil, name, values)
		if !ok {
			return
		}
		got := string(out)
		if want := stepwise(name, values); got != want {
			t.Fatalf("got %q, step by step %q", got, want)
		}
		// Idempotent.
		value := strings.TrimSuffix(got[len(name)+1:], "\r\n")
		if !isFieldName(name) {
			return
		}
		if again := canonical(t, name, value); again != got {
			t.Fatalf("a second time %q, first %q", again, got)
		}
		// Blind to the case of the name, to folding, to joining and to splitting.
		for what, variant := range map[string][]string{
			"folded": {strings.ReplaceAll(value, " ", "\r\n\t ")},
			"spread": {strings.ReplaceAll(value, ",", " ,\t")},
			"split":  strings.Split(value, ","),
			"joined": {v1 + ", " + v2},
		} {
			if other := canonical(t, strings.ToUpper(name), variant...); other != got {
				t.Fatalf("%s: %q, want %q", what, other, got)
			}
		}
		// As net/http reads it from the wire.
		raw := "GET / HTTP/1.1\r\nHost: x\r\nX-Field:" + v1 + "\r\nX-Field: " + v2 + "\r\n\r\n"
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return
		}
		if parsed := canonical(t, "X-Field", req.Header["X-Field"]...); parsed != canonical(t, "X-Field", v1, v2) {
			t.Fatalf("from net/http %q, from the wire %q", parsed, got)
		}
	})
}

// What is hashed, byte for byte.
//
// Proves: IS-DKIM-2, IS-DKIM-3
func TestHeaderHash(t *testing.T) {
	h := http.Header{"Recipient": {"a , b", "c"}, "Originator": {"o"}, "Empty": {""}, "Unsigned": {"x"}}
	for _, tc := range []struct {
		name  string
		names []string
		want  string
	}{
		{"in the order of h=", []string{"RECIPIENT", "originator"}, "recipient:a,b,c\r\noriginator:o\r\n"},
		{"a repeated name adds nothing", []string{"Recipient", "Originator", "recipient", "Recipient"}, "recipient:a,b,c\r\noriginator:o\r\n"},
		{"an absent field adds nothing", []string{"Originator", "None"}, "originator:o\r\n"},
		{"an empty field is there", []string{"Empty", "Originator"}, "empty:\r\noriginator:o\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := iSchedule.headerHash(h, tc.names, " v=1;\r\n\tb=; x=1 ")
			if want := sha256.Sum256([]byte(tc.want + "dkim-signature:v=1; b=; x=1")); err != nil || got != want {
				t.Errorf("got %x, %v, want %x", got, err, want)
			}
		})
	}
}
