package receiver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/ischedule"
)

// The ways in which peers write the same message: names in any case, folded signatures, one Recipient field or several, blanks
// around commas, bodies in chunks, a trailing semicolon in the signature.
//
// Proves: IS-DKIM-2, IS-DKIM-3, IS-RECV-6
func TestSpellingsOnTheWire(t *testing.T) {
	const both = "200 mailto:guest@gw.example 2.0 mailto:guest2@gw.example 2.0"
	to := []string{"mailto:guest@gw.example", "mailto:guest2@gw.example"}
	whole := func(m *mail) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(m.body), m.body) }
	replace := func(old, repl string) func(string) string {
		return func(head string) string { return strings.Replace(head, old, repl, 1) }
	}
	for i, tt := range []struct {
		name string
		head func(string) string
		body func(*mail) string
	}{
		{"as we write it", nil, whole},
		{"names in lower case", func(head string) string {
			lines := strings.Split(head, "\r\n")
			for i, line := range lines[1:] {
				if name, value, ok := strings.Cut(line, ":"); ok {
					lines[i+1] = strings.ToLower(name) + ":" + value
				}
			}
			return strings.Join(lines, "\r\n")
		}, whole},
		{"a folded signature", func(head string) string {
			before, signature, _ := strings.Cut(head, "Dkim-Signature: ")
			value, after, _ := strings.Cut(signature, "\r\n")
			return before + "DKIM-Signature:\r\n  " + strings.ReplaceAll(value, "; ", ";\r\n\t") + "\r\n" + after
		}, whole},
		{"a field for each recipient", replace(to[0]+","+to[1], to[0]+"\r\nRECIPIENT:"+to[1]), whole},
		{"blanks around the comma", replace(to[0]+","+to[1], to[0]+" ,\t "+to[1]), whole},
		{"no blank after the colon", replace("Originator: ", "Originator:"), whole},
		{"in chunks", replace("Originator: ", "Transfer-Encoding: chunked\r\nOriginator: "), func(m *mail) string {
			return fmt.Sprintf("\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 11, m.body[:11], len(m.body)-11, m.body[11:])
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			m := invitation(t, fmt.Sprint(i), to...)
			head := m.wire(t)
			if tt.head != nil {
				changed := tt.head(head)
				if changed == head {
					t.Fatal("nothing to respell")
				}
				head = changed
			}
			resp, body := w.raw(w.receiver, head+tt.body(m))
			answer, err := ischedule.ReadResponse([]byte(body))
			if resp.StatusCode != http.StatusOK || err != nil {
				t.Fatalf("%d %s (%s)", resp.StatusCode, body, w.reason())
			}
			got := "200"
			for _, r := range answer.Results {
				got += " " + r.Recipient + " " + r.Status.Code
			}
			if got != both {
				t.Errorf("%s, want %s", got, both)
			}
		})
	}
}

// DAViCal does not follow a redirect of its POST: whatever path is close to ours, none is answered with one.
//
// Proves: IS-CAP-1
func TestNoRedirects(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/ischedule", "//.well-known/ischedule", "/.well-known/ischedule/", "/.well-known/../.well-known/ischedule"} {
		m := invitation(t, path)
		wire := strings.Replace(m.wire(t, fmt.Sprintf("Content-Length: %d", len(m.body))), ischedule.WellKnownPath, path, 1)
		if resp, _ := w.raw(w.receiver, wire+"\r\n"+m.body); resp.StatusCode/100 == 3 {
			t.Errorf("%s: %d to %s", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}
