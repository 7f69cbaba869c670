package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// statusSite is a gateway with a status listener, whose authority can be replaced.
type statusSite struct {
	*site
	mu          sync.Mutex
	authority   *catest.CA
	certificate tls.Certificate
}

const podName = "edge.calendars.calfed"

func serveStatus(t *testing.T, edit func(*snapshot.Snapshot)) *statusSite {
	t.Helper()
	s := &statusSite{}
	s.renew(t)
	s.site = newSite(t, func(o *gateway.Options, snap *snapshot.Snapshot) {
		o.StatusAddr = "127.0.0.1:0"
		o.StatusTLS = func() (tls.Certificate, *x509.CertPool, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.certificate, s.authority.Pool(), nil
		}
		o.Status = func() snapshot.PodStatus {
			return snapshot.PodStatus{IndexUID: "uid", Serial: 7, Rejected: []snapshot.Rejection{{Secret: "edge-snap-index", Serial: 8, Problem: "broken"}}}
		}
		if edit != nil {
			edit(snap)
		}
	})
	check(t, s.Apply(s.snap))
	s.run()
	return s
}

// renew makes another authority.
func (s *statusSite) renew(t *testing.T) {
	t.Helper()
	ca, err := catest.New()
	check(t, err)
	certificate, err := ca.Issue(catest.Leaf{DNS: []string{podName}})
	check(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authority, s.certificate = ca, certificate
}

// as makes a client with certificates of its own; it trusts the gateway's authority of the moment.
func (s *statusSite) as(certificates ...tls.Certificate) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool(), ServerName: podName, Certificates: certificates, ClientSessionCache: tls.NewLRUClientSessionCache(1)}}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (s *statusSite) ask(client *http.Client, method, path string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, "https://"+s.Addrs().Status.String()+path, nil)
	check(s.t, err)
	return do(client, req)
}

func clientOf(t *testing.T, ca *catest.CA, leaf catest.Leaf) tls.Certificate {
	t.Helper()
	certificate, err := ca.Issue(leaf)
	check(t, err)
	return certificate
}

// The status listener tells what is served, to nobody but the control plane.
func TestStatus(t *testing.T) {
	s := serveStatus(t, nil)
	plane := clientOf(t, s.authority, catest.Leaf{Client: true})
	a := s.ask(s.as(plane), http.MethodGet, "/status")
	var got snapshot.PodStatus
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	want := snapshot.PodStatus{
		IndexUID: "uid", Serial: 7,
		Rejected: []snapshot.Rejection{{Secret: "edge-snap-index", Serial: 8, Problem: "broken"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for path, want := range map[string]int{
		"POST /status": http.StatusMethodNotAllowed, "GET /backend?domain=local.example": http.StatusMethodNotAllowed,
		"GET /metrics": http.StatusNotFound, "GET /": http.StatusNotFound,
		"POST /backend?domain=other.example": http.StatusNotFound, "POST /backend": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(path, " ")
		if a := s.ask(s.as(plane), method, path); a.status != want {
			t.Errorf("%s %s: %d, want %d", method, path, a.status, want)
		}
	}

	other, err := catest.New()
	check(t, err)
	for name, certificates := range map[string][]tls.Certificate{
		"no certificate":             nil,
		"of another authority":       {clientOf(t, other, catest.Leaf{Client: true})},
		"expired":                    {clientOf(t, s.authority, catest.Leaf{Client: true, Expired: true})},
		"a pod's own":                {s.certificate},
		"of the public certificates": {clientOf(t, s.ca, catest.Leaf{Client: true})},
	} {
		if a := s.ask(s.as(certificates...), http.MethodGet, "/status"); a.err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	old := s.as(plane)
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	if a := s.ask(old, http.MethodGet, "/status"); a.err == nil {
		t.Errorf("TLS 1.2: %+v", a)
	}
	if a := do(http.DefaultClient, request(t, "http://"+s.Addrs().Status.String()+"/status")); a.status == http.StatusOK {
		t.Errorf("plain HTTP: %+v", a)
	}
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	check(t, err)
	return req
}

// Certificates are replaced while the gateway runs.
func TestStatusTakesNewCertificates(t *testing.T) {
	s := serveStatus(t, nil)
	before := s.as(clientOf(t, s.authority, catest.Leaf{Client: true}))
	if a := s.ask(before, http.MethodGet, "/status"); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	s.renew(t)
	if a := s.ask(s.as(clientOf(t, s.authority, catest.Leaf{Client: true})), http.MethodGet, "/status"); a.status != http.StatusOK {
		t.Errorf("the new ones: %+v", a)
	}
	before.CloseIdleConnections()
	if a := s.ask(before, http.MethodGet, "/status"); a.err == nil {
		t.Errorf("the old ones: %+v", a)
	}
}

// The control plane learns whether a pod reaches the back end of a domain: what was tried, seen, and is to be done.
func TestStatusReachesBackends(t *testing.T) {
	calendar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ischedule.WriteDocument(w, http.StatusOK, (&ischedule.Capabilities{Serial: 7, Versions: []string{"1.0"}}).Marshal())
	}))
	t.Cleanup(calendar.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s := serveStatus(t, func(snap *snapshot.Snapshot) {
		for name, url := range map[string]string{"there.example": calendar.URL, "gone.example": gone.URL} {
			snap.Domains = append(snap.Domains, snapshot.Domain{
				Name: name, Backend: snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: url + "/ischedule"}},
			})
		}
		both := snap.Domains[1]
		both.Name = "half.example"
		there, away := calendar.URL, gone.URL
		both.Backend = snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: there + "/ischedule"}}
		both.FreeBusyBackend = &snapshot.Backend{Type: snapshot.BackendCalDAV, CalDAV: &snapshot.CalDAV{
			URL: away + "/dav/", Profile: snapshot.ProfileSabreDAV, Username: "calfed", Password: "hunter2",
		}}
		snap.Domains = append(snap.Domains, both)
	})
	plane := s.as(clientOf(t, s.authority, catest.Leaf{Client: true}))
	for domain, want := range map[string][]string{
		"there.example": nil,
		"gone.example":  {"connect: ", "connection refused", "is it running"},
		"half.example":  {"free/busy: connect and authenticate: ", "connection refused", "does not run"},
		"local.example": {"cannot be tried"},
	} {
		a := s.ask(plane, http.MethodPost, "/backend?domain="+domain)
		var got snapshot.BackendReport
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %+v", domain, a)
		}
		if got.Domain != domain || got.OK != (want == nil) || strings.Contains(got.Problem, "hunter2") {
			t.Errorf("%+v", got)
		}
		for _, part := range want {
			if !strings.Contains(got.Problem, part) {
				t.Errorf("%s: %q lacks %q", domain, got.Problem, part)
			}
		}
	}
}

// Tests of back ends are bounded in number; those beyond are told to come again.
func TestStatusBoundsTests(t *testing.T) {
	const most = 4
	arrived, leave := make(chan struct{}, most), make(chan struct{})
	calendar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-leave:
		case <-r.Context().Done():
		}
		ischedule.WriteDocument(w, http.StatusOK, (&ischedule.Capabilities{Serial: 7, Versions: []string{"1.0"}}).Marshal())
	}))
	t.Cleanup(calendar.Close)
	s := serveStatus(t, func(snap *snapshot.Snapshot) {
		snap.Domains = append(snap.Domains, snapshot.Domain{
			Name: "slow.example", Backend: snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: calendar.URL + "/ischedule"}},
		})
	})
	plane := s.as(clientOf(t, s.authority, catest.Leaf{Client: true}))
	answers := make(chan answer, most)
	for range most {
		go func() { answers <- s.ask(plane, http.MethodPost, "/backend?domain=slow.example") }()
		<-arrived
	}
	if a := s.ask(plane, http.MethodPost, "/backend?domain=slow.example"); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("one too many: %+v", a)
	}
	close(leave)
	for range most {
		if a := <-answers; a.status != http.StatusOK {
			t.Errorf("%+v", a)
		}
	}
}

// Without a certificate there is no status listener, and no gateway that looks as if there were.
func TestStatusNeedsTLS(t *testing.T) {
	s := newSite(t, func(o *gateway.Options, _ *snapshot.Snapshot) { o.StatusAddr = "127.0.0.1:0" })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "StatusTLS") {
		t.Error(err)
	}
	for _, addr := range []net.Addr{s.Addrs().Public, s.Addrs().Status} {
		if addr != nil {
			t.Errorf("%v is open", addr)
		}
	}
}

// Connections to a calendar server outlive a snapshot that leaves it as it is, and end with one that has no use for it.
func TestConnectionsOutliveASnapshot(t *testing.T) {
	var mu sync.Mutex
	var opened, closed int
	calendar := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ischedule.WriteDocument(w, http.StatusOK, (&ischedule.Capabilities{Serial: 7, Versions: []string{"1.0"}}).Marshal())
	}))
	calendar.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			opened++
		case http.StateClosed:
			closed++
		}
	}
	count := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return opened, closed
	}
	calendar.Start()
	t.Cleanup(calendar.Close)
	there := snapshot.Domain{
		Name: "there.example", Backend: snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: calendar.URL + "/ischedule"}},
	}
	s := serveStatus(t, func(snap *snapshot.Snapshot) { snap.Domains = append(snap.Domains, there) })
	plane := s.as(clientOf(t, s.authority, catest.Leaf{Client: true}))
	reach := func() {
		t.Helper()
		if a := s.ask(plane, http.MethodPost, "/backend?domain=there.example"); !strings.Contains(a.body, `"ok":true`) {
			t.Fatalf("%+v", a)
		}
	}
	apply := func(edit func(*snapshot.Snapshot)) {
		t.Helper()
		changed := *s.snap
		changed.Domains = append([]snapshot.Domain{}, s.snap.Domains...)
		edit(&changed)
		check(t, s.Apply(&changed))
	}
	reach()
	apply(func(c *snapshot.Snapshot) {
		c.Domains = append(c.Domains, snapshot.Domain{Name: "more.example", Backend: there.Backend})
	})
	reach()
	if opened, closed := count(); opened != 1 || closed != 0 {
		t.Errorf("unchanged: %d connections were opened, %d closed", opened, closed)
	}
	apply(func(c *snapshot.Snapshot) { c.Gateway.Egress.BackendCIDRs = append(loopback, loopback...) })
	reach()
	if opened, _ := count(); opened != 2 {
		t.Errorf("after another egress: %d connections were opened", opened)
	}
	apply(func(c *snapshot.Snapshot) { c.Domains = c.Domains[:1] })
	eventually(t, "all connections are closed", func() bool { opened, closed := count(); return opened == closed })
}
