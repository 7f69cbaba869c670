package submission_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
	"github.com/calfed/calfed/gateway/submission"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tokenOne    = "token-of-example-org"
	tokenShared = "token-of-two-domains"

	passwordShared = "päss: of two domains" // RFC 7617: a colon belongs to the password
)

// recorder is a sender that takes everything.
type recorder struct {
	mu   sync.Mutex
	got  []*sender.Submission
	fail *ischedule.Error
	data []byte // calendar-data of every answer
}

func (r *recorder) Send(_ context.Context, sub *sender.Submission) (*ischedule.Response, *ischedule.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, sub)
	if r.fail != nil {
		return nil, r.fail
	}
	response := &ischedule.Response{}
	for _, to := range sub.Request.Recipients {
		response.Results = append(response.Results, ischedule.RecipientResult{Recipient: to.String(), Status: ischedule.StatusDelivered, CalendarData: r.data})
	}
	return response, nil
}

// testCA issues the certificates of submitters, otherCA those of somebody else.
var testCA, otherCA = sync.OnceValue(newCA), sync.OnceValue(newCA)

func newCA() *catest.CA {
	ca, err := catest.New()
	if err != nil {
		panic(err)
	}
	return ca
}

// config: example.org by two tokens and a password, branch.example by one of them each and by certificate, dav.example.net by
// the key of a recorded DAViCal, sender.example by one of ours.
func config(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	leaf, err := testCA().Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := catest.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	token := func(name, token string) snapshot.Submitter {
		sum := sha256.Sum256([]byte(token))
		return snapshot.Submitter{Name: name, TokenSHA256: sum[:]}
	}
	password := func(name, password string) snapshot.Submitter {
		sum := sha256.Sum256([]byte(password))
		return snapshot.Submitter{Name: name, Basic: &snapshot.Basic{Username: "kalender", PasswordSHA256: sum[:]}}
	}
	domain := func(name string, who ...snapshot.Submitter) snapshot.Domain {
		return snapshot.Domain{
			Name: name, Source: "default/" + name, Submitters: who,
			Backend: snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: "http://127.0.0.1:8008/ischedule"}},
		}
	}
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: snapshot.KeyPair{Certificate: cert, Key: key}, DefaultAction: snapshot.Deny,
			Capabilities: ischedule.Capabilities{
				Serial: 42, Versions: []string{"1.0"}, Messages: []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
				DataTypes: []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}}, RScales: []string{"GREGORIAN"},
				MaxContentLength: 1000, MaxRecipients: 3, MaxInstances: 10, Administrator: "mailto:postmaster@example.org",
				MinDateTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), MaxDateTime: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
			},
			Limits: snapshot.Limits{
				MaxConnections: 100, MaxConnsPerSource: 100, RequestsPerSource: 100, KeyLookupsPerSource: 100, KeyLookupsPerDomain: 100,
				KeyLookups: 100, MaxHeaderBytes: 32 << 10, MaxInFlightBytes: 64 << 20,
				HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second, DeliveryTimeout: 5 * time.Second,
			},
		},
		Domains: []snapshot.Domain{
			domain("branch.example", token("both", tokenShared), snapshot.Submitter{
				Name: "by-certificate", Certificate: &snapshot.ClientCertificate{CA: testCA().PEM(), Names: []string{"calendar.branch.example"}},
			}, password("by-password", passwordShared)),
			domain("dav.example.net", snapshot.Submitter{Name: "davical", PinnedKey: &snapshot.PinnedKey{Selector: "cal", Record: davicalRecord(t)}}),
			domain("example.org", token("one", tokenOne), token("both", tokenShared), password("by-password", passwordShared)),
			domain("sender.example", snapshot.Submitter{Name: "by-key", PinnedKey: &snapshot.PinnedKey{Domain: "keys.example", Selector: "sel", Record: ownRecord(t)}}),
		},
	}
}

func newHandler(t testing.TB, out submission.Sender, change ...func(*submission.Config)) *submission.Handler {
	t.Helper()
	a, err := snapshot.Activate(config(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := submission.Config{Active: a, Sender: out}
	for _, c := range change {
		c(&cfg)
	}
	h, err := submission.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const body = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"

// post is a proper submission by alice of example.org over TLS, as change leaves it.
func post(change ...func(*http.Request)) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "https://gw.example.org:8444/", strings.NewReader(body))
	req.RemoteAddr = "192.0.2.7:4711"
	req.TLS = &tls.ConnectionState{}
	req.Header.Set("iSchedule-Version", "1.0")
	req.Header.Set("Originator", "mailto:alice@example.org")
	req.Header.Set("Recipient", "mailto:bob@peer.example")
	req.Header.Set("Content-Type", "text/calendar; component=VEVENT; method=REQUEST")
	req.Header.Set("Authorization", "Bearer "+tokenOne)
	for _, c := range change {
		c(req)
	}
	return req
}

func serve(h http.Handler, req *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, value)
	}
}

func withCertificate(t *testing.T, ca *catest.CA, leaf catest.Leaf) func(*http.Request) {
	t.Helper()
	issued, err := ca.Issue(leaf)
	if err != nil {
		t.Fatal(err)
	}
	var chain []*x509.Certificate
	for _, der := range issued.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	return func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: chain} }
}
