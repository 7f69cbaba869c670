package sender_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/resolver"
	"github.com/calfed/calfed/gateway/resolver/dnstest"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

// TestTranscripts plays testdata/*.txtar: a submission goes in; the real discovery finds TLS servers through a DNS server;
// what they receive and what the submitter gets back must be what the file says. Files of an archive:
//
//	zone                     the DNS; {port HOST} is the port of that host's server
//	policies.json            []snapshot.Policy, optional
//	submission               header and body as submitted
//	HOST/capabilities.xml    what HOST answers to GET; "@PATH" names a file
//	HOST/redirect            "FROM TO": HOST redirects with 301, and answers 400 where it redirected to if the body is lost
//	HOST/answer              what HOST answers to POST: status line, header, blank line, body
//	HOST/requests            expected: the POSTs, as HOST saw them
//	response                 expected: what the submitter gets
//
// Proves: IS-SEND-1, IS-SEND-2, IS-SEND-3, IS-SEND-5, IS-SEND-6, IS-SEND-7, IS-CAP-6, IS-CAP-7, IS-CAP-8, IS-DISC-1, IS-DISC-4, IS-DKIM-4
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, archive)
			if *update {
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// expect compares what came with what the archive says, or makes the archive say it.
func expect(t *testing.T, archive *txtar.Archive, name, got string) {
	t.Helper()
	if !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			if *update {
				archive.Files[i].Data = []byte(got)
			} else if diff := cmp.Diff(string(archive.Files[i].Data), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			return
		}
	}
	if *update {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got)})
		return
	}
	t.Errorf("the transcript has no %s:\n%s", name, got)
}

func play(t *testing.T, archive *txtar.Archive) {
	t.Helper()
	files := map[string]string{}
	hosts := map[string]*peer{}
	var names []string
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
		if host, part, ok := strings.Cut(f.Name, "/"); ok {
			if hosts[host] == nil {
				hosts[host] = newPeer(t, host)
				names = append(names, host)
			}
			hosts[host].configure(t, part, string(f.Data))
		}
	}
	zone := regexp.MustCompile(`\{port ([^}]+)\}`).ReplaceAllStringFunc(files["zone"], func(s string) string {
		return hosts[strings.TrimSuffix(strings.TrimPrefix(s, "{port "), "}")].port()
	})
	s, a := realSender(t, zone, func(c *snapshot.Snapshot) {
		if text := files["policies.json"]; text != "" {
			if err := json.Unmarshal([]byte(strings.ReplaceAll(text, "{port}", "443")), &c.Policies); err != nil {
				t.Fatal(err)
			}
			for i := range c.Domains {
				c.Domains[i].Policies = nil
				for _, p := range c.Policies {
					c.Domains[i].Policies = append(c.Domains[i].Policies, p.ID)
				}
			}
		}
	})

	expect(t, archive, "response", submit(t, s, a, files["submission"]))
	for _, host := range names {
		expect(t, archive, host+"/requests", hosts[host].seen(t))
	}
}

// realSender finds receivers as a gateway does: by DNS, over guarded connections, trusting the test CA.
func realSender(t testing.TB, zone string, change func(*snapshot.Snapshot)) (*sender.Sender, *snapshot.Active) {
	t.Helper()
	dns, err := dnstest.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	client := resolver.New(resolver.Config{Server: dns.Addr()})
	guard := netguard.New(netguard.Config{
		PeerCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: testCA().Pool(), Resolver: client,
	})
	finder := discovery.New(discovery.Config{DNS: client, Guard: guard, UserAgent: "calfed/test"})
	t.Cleanup(finder.Close)
	c := config(t)
	if change != nil {
		change(c)
	}
	a := active(t, c)
	s, err := sender.New(sender.Config{Active: a, Finder: finder, UserAgent: "calfed/test", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

// submit hands the text of a submission to s and returns the answer as text.
func submit(t *testing.T, s *sender.Sender, a *snapshot.Active, text string) string {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: gw.example.org\r\n" + strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, refusal := ischedule.ReadRequest(req.Header, []byte(body), 0)
	if refusal != nil {
		t.Fatal(refusal)
	}
	domain, ok := a.Domain(parsed.Originator.Domain())
	if !ok {
		t.Fatalf("%s is not served", parsed.Originator.Domain())
	}
	response, refusal := s.Send(t.Context(), &sender.Submission{Submitter: "calendar", Domain: domain, Request: parsed})
	if refusal != nil {
		return fmt.Sprintf("%d %s: %s", refusal.Status, refusal.Name, refusal.Description)
	}
	var out strings.Builder
	for _, r := range response.Results {
		fmt.Fprintf(&out, "%s %s\n", r.Recipient, r.Status)
		if r.Description != "" {
			fmt.Fprintf(&out, "  %s\n", r.Description)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(r.CalendarData), "\r\n"), "\r\n") {
			if line != "" {
				fmt.Fprintf(&out, "  | %s\n", line)
			}
		}
	}
	return out.String()
}

// peer is an iSchedule server of another organisation.
type peer struct {
	server       *httptest.Server
	capabilities string
	answer       string
	from, to     string // of the redirect

	mu  sync.Mutex
	got []posted
}

func newPeer(t *testing.T, host string) *peer {
	t.Helper()
	leaf, err := testCA().Issue(catest.Leaf{DNS: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{}
	p.server = httptest.NewUnstartedServer(p)
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	p.server.StartTLS()
	t.Cleanup(p.server.Close)
	return p
}

func (p *peer) port() string { return p.server.URL[strings.LastIndexByte(p.server.URL, ':')+1:] }

func (p *peer) configure(t *testing.T, part, text string) {
	t.Helper()
	switch part {
	case "capabilities.xml":
		p.capabilities = text
		if name, ok := strings.CutPrefix(strings.TrimSpace(text), "@"); ok {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p.capabilities = string(data)
		}
	case "answer":
		p.answer = text
	case "redirect":
		p.from, p.to, _ = strings.Cut(strings.TrimSpace(text), " ")
	case "requests":
	default:
		t.Fatalf("unknown part %q of a peer", part)
	}
}

func (p *peer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	switch {
	case req.URL.Path == p.from:
		target := p.to
		if req.URL.RawQuery != "" {
			target += "?" + req.URL.RawQuery
		}
		http.Redirect(w, req, target, http.StatusMovedPermanently)
	case req.Method == http.MethodGet:
		w.Header().Set("Content-Type", "application/xml; charset=utf-8")
		_, _ = io.WriteString(w, p.capabilities)
	case req.Method == http.MethodPost:
		p.mu.Lock()
		p.got = append(p.got, posted{req.URL.Path, req.Header.Clone(), body})
		p.mu.Unlock()
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(wire(p.answer))), req)
		if err != nil {
			panic(err)
		}
		defer func() { _ = res.Body.Close() }()
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}
}

// wire gives the header of an answer the line ends that HTTP wants.
func wire(answer string) string {
	head, body, _ := strings.Cut(answer, "\n\n")
	return strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
}

var volatile = regexp.MustCompile(`\b(bh?)=[A-Za-z0-9+/=]+`)

// seen verifies and prints the requests, ordered by recipient.
func (p *peer) seen(t *testing.T) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortFunc(p.got, func(a, b posted) int {
		return strings.Compare(a.header.Get("Recipient"), b.header.Get("Recipient"))
	})
	if len(p.got) == 0 {
		return "(none)"
	}
	var out bytes.Buffer
	for _, one := range p.got {
		verify(t, one, config(t).Domains[1].Signing.Keys[1].Record)
		if id := one.header.Get("iSchedule-Message-ID"); len(id) == 26 {
			one.header.Set("iSchedule-Message-ID", "(token)")
		}
		fmt.Fprintf(&out, "POST %s\n", one.url)
		var names []string
		for name := range one.header {
			if name != "Content-Length" && name != "Accept-Encoding" {
				names = append(names, name)
			}
		}
		sort.Strings(names)
		for _, name := range names {
			for _, value := range one.header[name] {
				if name == ischedule.HeaderDKIMSignature {
					value = volatile.ReplaceAllString(value, "$1=...")
				}
				fmt.Fprintf(&out, "%s: %s\n", name, value)
			}
		}
		if !bytes.HasSuffix(one.body, []byte("\r\n")) || bytes.Contains(bytes.ReplaceAll(one.body, []byte("\r\n"), nil), []byte("\n")) {
			t.Errorf("the body of a request is not all CRLF: %q", one.body)
		}
		fmt.Fprintf(&out, "\n%s\n", bytes.ReplaceAll(one.body, []byte("\r\n"), []byte("\n")))
	}
	return strings.TrimSuffix(out.String(), "\n")
}
