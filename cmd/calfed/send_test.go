package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/gateway/submission"
)

// testSite is example.org with its configuration in a folder, a DNS server, and the receiver of peer.example.
type testSite struct {
	dir    string // manifests
	files  string // everything else
	record string
	ca     *catest.CA
	got    []*http.Request
	bodies []string
	answer func(req *http.Request, body string) string
}

func newTestSite(t *testing.T) *testSite {
	t.Helper()
	ca, err := catest.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &testSite{dir: t.TempDir(), files: t.TempDir(), ca: ca}
	peer := s.serve(t, "cal.peer.example", http.HandlerFunc(s.peer))
	dns, err := dnstest.New("_ischedules._tcp.peer.example. 60 IN SRV 0 0 " + peer[strings.LastIndexByte(peer, ':')+1:] + " cal.peer.example.\n" +
		"cal.peer.example. 60 IN A 127.0.0.1\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if s.record, err = dkim.FormatRecord(public, false); err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	s.write(t, s.dir, "site.yaml", fmt.Sprintf(manifest, dns.Addr(), b64(cert), b64(key), b64(ca.PEM()), b64(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))))
	s.write(t, s.files, "ca.pem", string(ca.PEM()))
	s.write(t, s.files, "token", "s3cret\n")
	s.write(t, s.files, "wrong-token", "guess\n")
	s.write(t, s.files, "invitation.ics", inviteBob)
	return s
}

const manifest = `apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: edge, namespace: default}
spec:
  host: gw.example.org
  tls: {type: Secret, secret: {name: edge-tls}}
  egress:
    peerCIDRs: ["127.0.0.0/8"]
    resolver: %q
    caBundleRef: {kind: Secret, name: test-ca, key: ca.crt}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: example-org, namespace: default}
spec:
  domain: example.org
  gatewayRef: {name: edge}
  signing: {keys: [{name: example-org}], lookup: ["dns/txt"]}
  backend: {type: ISchedule, iSchedule: {url: "http://127.0.0.1:28080/ischedule"}}
  submitters:
  - {name: calendar-server, tokenRef: {name: submit-token, key: token}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: example-org, namespace: default}
spec:
  domain: example.org
  source: {type: Imported, imported: {selector: cal, secretRef: {name: example-org-dkim, key: private.key}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: submit-token, namespace: default}, stringData: {token: s3cret}}
---
{apiVersion: v1, kind: Secret, metadata: {name: edge-tls, namespace: default}, type: kubernetes.io/tls, data: {tls.crt: %s, tls.key: %s}}
---
{apiVersion: v1, kind: Secret, metadata: {name: test-ca, namespace: default}, data: {ca.crt: %s}}
---
{apiVersion: v1, kind: Secret, metadata: {name: example-org-dkim, namespace: default}, data: {private.key: %s}}
`

const inviteBob = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20261122T130000Z\n" +
	"DTSTART:20261125T140000Z\nSUMMARY:Plan\nORGANIZER:mailto:alice@example.org\nATTENDEE:mailto:bob@peer.example\n" +
	"ATTENDEE:mailto:eve@nowhere.example\nEND:VEVENT\nEND:VCALENDAR\n"

func (s *testSite) write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve starts a TLS server with a certificate for host and returns its URL.
func (s *testSite) serve(t *testing.T, host string, h http.Handler) string {
	t.Helper()
	leaf, err := s.ca.Issue(catest.Leaf{DNS: []string{host, "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are part of the tests
	server.StartTLS()
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// peer is the receiver of peer.example: it verifies, and answers as told.
func (s *testSite) peer(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		_, _ = io.WriteString(w, `<query-result xmlns="urn:ietf:params:xml:ns:ischedule"><capabilities><versions><version>1.0</version></versions>`+
			`<scheduling-messages><component name="VEVENT"/><component name="VFREEBUSY"/></scheduling-messages></capabilities></query-result>`)
		return
	}
	body, _ := io.ReadAll(req.Body)
	sig, err := dkim.ParseSignature(req.Header.Get(ischedule.HeaderDKIMSignature))
	if err == nil {
		err = sig.CheckBody(body)
	}
	if rec, bad := dkim.ParseRecord(s.record); err == nil && bad == nil {
		err = sig.CheckKey(req.Header, rec, dkim.Rules{})
	}
	if err != nil {
		ischedule.NewError(ischedule.VerificationFailed, "test", err.Error()).Write(w)
		return
	}
	s.got, s.bodies = append(s.got, req), append(s.bodies, string(body))
	_, _ = io.WriteString(w, `<schedule-response xmlns="urn:ietf:params:xml:ns:ischedule">`+s.answer(req, string(body))+`</schedule-response>`)
}

// says is calfed with the message it ends with, "" for none.
func says(t *testing.T, stdin string, args ...string) (code int, out, message string) {
	t.Helper()
	code, out, message, err := calfedSaying(t, []byte(stdin), args...)
	if err != nil {
		message += err.Error()
	}
	return code, out, message
}

func delivered(*http.Request, string) string {
	return `<response><recipient>mailto:bob@peer.example</recipient><request-status>2.0;Success</request-status></response>`
}

// gateway runs the submission handler of the site's configuration behind TLS.
func (s *testSite) gateway(t *testing.T) string {
	t.Helper()
	active, err := activate([]string{s.dir}, "example.org")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := newSendingParts(active, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(parts.close)
	h, err := submission.New(submission.Config{Active: active, Sender: parts.sender})
	if err != nil {
		t.Fatal(err)
	}
	return s.serve(t, "gw.example.org", h)
}

// TestSend: both ways out end at the same receiver with a signature that verifies, and say the same.
//
// Proves: IS-SUB-1, IS-SEND-2
func TestSend(t *testing.T) {
	s := newTestSite(t)
	s.answer = delivered
	url := s.gateway(t)
	file := filepath.Join(s.files, "invitation.ics")
	submit := []string{"--submit", url, "--token-file", filepath.Join(s.files, "token"), "--ca", filepath.Join(s.files, "ca.pem")}
	ways := map[string][]string{"through a gateway": submit, "in process": {"--manifests", s.dir}}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			s.got, s.bodies = nil, nil
			code, out, message := says(t, "", append([]string{"send", file, "--to", "mailto:bob@peer.example"}, way...)...)
			want := "ADDRESS                  STATUS  MEANING\nmailto:bob@peer.example  2.0     Success\n"
			if code != exitOK || out != want || message != "" {
				t.Fatalf("exit %d, %s\n%s", code, message, out)
			}
			if len(s.got) != 1 || s.got[0].Header.Get("Originator") != "mailto:alice@example.org" ||
				s.bodies[0] != strings.ReplaceAll(inviteBob, "\n", "\r\n") {
				t.Errorf("%d requests, the first %v\n%s", len(s.got), s.got[0].Header, s.bodies[0])
			}

			code, out, message = says(t, inviteBob, append([]string{"send", "-", "--to", "bob@peer.example,eve@nowhere.example", "-o", "json"}, way...)...)
			if code != exitFailed || !strings.HasSuffix(message, "exit status 1") {
				t.Errorf("a recipient that could not be reached: exit %d, %s", code, message)
			}
			if name == "in process" && !strings.Contains(message, "no SRV record at _ischedules._tcp.nowhere.example") {
				t.Errorf("does not say why a recipient could not be reached: %s", message)
			}
			var report sendReport
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			wantReport := sendReport{Originator: "mailto:alice@example.org", Recipients: []recipientReport{
				{Address: report.Recipients[0].Address, Status: "2.0", Meaning: "Success"},
				{Address: report.Recipients[1].Address, Status: "5.2", Meaning: "Invalid calendar service", Description: "the domain offers no iSchedule service"},
			}}
			if diff := cmp.Diff(wantReport, report); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if !strings.HasSuffix(report.Recipients[0].Address, "bob@peer.example") || !strings.HasSuffix(report.Recipients[1].Address, "eve@nowhere.example") {
				t.Errorf("recipients %v", report.Recipients)
			}
		})
	}
}

// TestSendRefused: what cannot be handed over says why, with the right exit code and without a request.
func TestSendRefused(t *testing.T) {
	s := newTestSite(t)
	s.answer = delivered
	url := s.gateway(t)
	file := filepath.Join(s.files, "invitation.ics")
	s.write(t, s.files, "counter.ics", strings.Replace(inviteBob, "METHOD:REQUEST", "METHOD:COUNTER", 1))
	s.write(t, s.files, "page.html", "<html>\n")
	s.write(t, s.files, "broken.yaml", "kind: FederationGateway\napiVersion: federation.calfed.dev/v1alpha1\nmetadata: {name: x}\nspec: {hots: y}\n")
	token, ca := filepath.Join(s.files, "token"), filepath.Join(s.files, "ca.pem")
	bob := []string{"--to", "bob@peer.example"}
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no way out", append([]string{file}, bob...), exitUsage, "submit manifests"},
		{"two ways out", append([]string{file, "--submit", url, "--manifests", s.dir}, bob...), exitUsage, "submit manifests"},
		{"no recipient", []string{file, "--manifests", s.dir}, exitUsage, `"to"`},
		{"a recipient that is no address", []string{file, "--manifests", s.dir, "--to", "bob"}, exitUsage, `"bob"`},
		{"no such file", append([]string{"nothing.ics", "--manifests", s.dir}, bob...), exitUsage, "nothing.ics"},
		{"no iCalendar", append([]string{filepath.Join(s.files, "page.html"), "--manifests", s.dir}, bob...), exitUsage, "page.html"},
		{"a counter-proposal of two attendees", append([]string{filepath.Join(s.files, "counter.ics"), "--manifests", s.dir}, bob...), exitUsage, "--from"},
		{"an Originator of nobody's domain", append([]string{file, "--manifests", s.dir, "--from", "alice@elsewhere.example"}, bob...), exitUsage, "elsewhere.example"},
		{"an Originator who is not the ORGANIZER", append([]string{file, "--manifests", s.dir, "--from", "mallory@example.org"}, bob...), exitFailed, "invalid-scheduling-message"},
		{"an output that is none", append([]string{file, "--manifests", s.dir, "-o", "yaml"}, bob...), exitUsage, "yaml"},
		{"manifests with a mistake", append([]string{file, "--manifests", filepath.Join(s.files, "broken.yaml")}, bob...), exitUsage, "broken.yaml"},
		{"no token", append([]string{file, "--submit", url, "--ca", ca}, bob...), exitFailed, "originator-denied"},
		{"a wrong token", append([]string{file, "--submit", url, "--ca", ca, "--token-file", filepath.Join(s.files, "wrong-token")}, bob...), exitFailed, "originator-denied"},
		{"a gateway with an unknown certificate", append([]string{file, "--submit", url, "--token-file", token}, bob...), exitUsage, "certificate"},
		{"a CA file without a certificate", append([]string{file, "--submit", url, "--token-file", token, "--ca", token}, bob...), exitUsage, "--ca"},
		{"plain http through the network", append([]string{file, "--submit", "http://gw.example.org", "--token-file", token}, bob...), exitUsage, "https"},
		{"a URL that is none", append([]string{file, "--submit", "gw.example.org:8444", "--token-file", token}, bob...), exitUsage, "--submit"},
		{"nobody listens", append([]string{file, "--submit", "http://127.0.0.1:1", "--token-file", token}, bob...), exitUsage, "127.0.0.1:1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, out, message := says(t, "", append([]string{"send"}, test.args...)...)
			if code != test.code || !strings.Contains(message, test.says) {
				t.Errorf("exit %d with %q, want %d with %q\n%s", code, message, test.code, test.says, out)
			}
			if strings.Contains(message+out, "s3cret") {
				t.Errorf("the token is printed: %s", message)
			}
		})
	}
	if len(s.got) > 0 {
		t.Errorf("%d requests left", len(s.got))
	}
	code, out, _ := says(t, "", append([]string{"send", file, "--manifests", s.dir, "--from", "mallory@example.org", "-o", "json"}, bob...)...)
	if code != exitFailed || !strings.Contains(out, `"name": "invalid-scheduling-message"`) {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// TestFreeBusy asks the way a person does.
func TestFreeBusy(t *testing.T) {
	s := newTestSite(t)
	s.answer = func(_ *http.Request, body string) string {
		reply := strings.Replace(body, "METHOD:REQUEST", "METHOD:REPLY", 1)
		reply = strings.Replace(reply, "END:VFREEBUSY", "FREEBUSY:20261125T090000Z/PT90M\r\nEND:VFREEBUSY", 1)
		return "<response><recipient>bob@peer.example</recipient><request-status>2.0;Success</request-status><calendar-data>" + reply + "</calendar-data></response>"
	}
	t.Setenv("LC_ALL", "C")
	t.Setenv("COLUMNS", "60")
	args := []string{"freebusy", "bob@peer.example", "--as", "alice@example.org", "--from", "2026-11-25T08:00:00Z", "--to", "+4h", "--manifests", s.dir}
	code, out, message := says(t, "", args...)
	if code != exitOK || !strings.Contains(out, "bob@peer.example  ..........") || !strings.Contains(out, "#####") || !strings.Contains(out, "- ") {
		t.Errorf("exit %d, %s\n%s", code, message, out)
	}

	code, out, message = says(t, "", append(args, "-o", "json")...)
	var report freeBusyReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK {
		t.Fatalf("exit %d, %s, %v\n%s", code, message, err, out)
	}
	if !report.Answered || len(report.Attendees) != 1 || len(report.Attendees[0].Periods) != 1 ||
		report.Attendees[0].Periods[0].Start.Format("15:04") != "09:00" || report.Attendees[0].Periods[0].End.Format("15:04") != "10:30" {
		t.Errorf("report %+v", report)
	}

	code, out, _ = says(t, "", append(args, "eve@nowhere.example")...)
	if code != exitFailed || !strings.Contains(out, "????") || !strings.Contains(out, "no answer: 5.2") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, _, message = says(t, "", append(args, "--to", "yesterday")...); code != exitUsage || !strings.Contains(message, "--to") {
		t.Errorf("exit %d, %s", code, message)
	}
}
