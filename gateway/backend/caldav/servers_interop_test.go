//go:build interop

package caldav_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/backend/caldav"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/snapshot"
)

// real is a running server with the users alice, bob and gateway of example.org.
type real struct {
	profile  snapshot.CalDAVProfile
	base     string
	config   snapshot.CalDAV
	calendar func(user, name string) string // path
	fixed    string                         // name of the default calendar
	login    func(user string) string
	outbox   string // principal for free/busy, "" = there is no scheduling
}

const scripts = "../../../hack/interop"

// eachServer runs a test against every real server, each fresh.
func eachServer(t *testing.T, run func(t *testing.T, r *real)) {
	t.Run("Cyrus", func(t *testing.T) { run(t, startCyrus(t)) })
	t.Run("DAViCal", func(t *testing.T) { run(t, startDAViCal(t)) })
	t.Run("Radicale", func(t *testing.T) { run(t, startRadicale(t)) })
}

func startCyrus(t *testing.T) *real {
	http, imap := freePort(t), freePort(t)
	up(t, "cyrus.sh", "example.org", http, imap, "alice", "bob", "gateway")
	return &real{
		profile: snapshot.ProfileCyrus, base: "http://127.0.0.1:" + http,
		config: snapshot.CalDAV{
			URL: "http://127.0.0.1:" + http + "/dav/", Username: "gateway@example.org", Password: "pwgateway",
			PrincipalTemplate: "/dav/principals/user/{address}/",
		},
		calendar: func(user, name string) string { return "/dav/calendars/user/" + user + "@example.org/" + name + "/" },
		fixed:    "Default",
		login:    func(user string) string { return user + "@example.org" },
		outbox:   "/dav/principals/user/gateway@example.org/",
	}
}

func startDAViCal(t *testing.T) *real {
	http, pg := freePort(t), freePort(t)
	up(t, "davical.sh", "example.org", http, pg, "alice", "bob", "gateway")
	return &real{
		profile: snapshot.ProfileDAViCal, base: "http://127.0.0.1:" + http,
		config: snapshot.CalDAV{
			URL: "http://127.0.0.1:" + http + "/caldav.php/", Username: "gateway", Password: "pwgateway",
		},
		calendar: func(user, name string) string { return "/caldav.php/" + user + "/" + name + "/" },
		fixed:    "calendar",
		login:    func(user string) string { return user },
		outbox:   "/caldav.php/gateway/",
	}
}

func startRadicale(t *testing.T) *real {
	http := freePort(t)
	up(t, "radicale.sh", http, "alice", "bob")
	return &real{
		profile: snapshot.ProfileRadicale, base: "http://127.0.0.1:" + http,
		config: snapshot.CalDAV{
			URL: "http://127.0.0.1:" + http + "/", Username: "gateway", Password: "pwgateway", PrincipalTemplate: "/{local}/",
		},
		calendar: func(user, name string) string { return "/" + user + "/" + name + "/" },
		fixed:    "calendar",
		login:    func(user string) string { return user },
	}
}

// up starts a server in a folder that its own system user can reach, until the test ends.
func up(t *testing.T, script string, args ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("interop starts servers in namespaces of their own: run as root")
	}
	dir, err := os.MkdirTemp("", "calfed-caldav-")
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(filepath.Join(scripts, script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(path, "down", dir).CombinedOutput(); err != nil {
			t.Errorf("%s down: %v\n%s", script, err, out)
		}
		_ = os.RemoveAll(dir)
	})
	out, err := exec.Command(path, append([]string{"up", dir}, args...)...).CombinedOutput()
	if err != nil || strings.Count(string(out), " 207") != strings.Count(strings.Join(args, " "), "alice")+strings.Count(strings.Join(args, " "), "bob")+strings.Count(strings.Join(args, " "), "gateway") {
		t.Fatalf("%s up: %v\n%s", script, err, out)
	}
}

// freePort is one below the range from which the system gives out ports by itself.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := fmt.Sprint(10000 + rand.IntN(20000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// dial makes a Backend for the server; change may alter its configuration.
func (r *real) dial(t *testing.T, change func(*snapshot.CalDAV)) *caldav.Backend {
	t.Helper()
	server := r.config
	server.Profile = r.profile
	if change != nil {
		change(&server)
	}
	b, err := caldav.New(caldav.Config{
		Server: server, Guard: netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		UserAgent: "calfed/test", Log: slog.New(slog.NewTextHandler(testLog{t}, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("log: %s", bytes.TrimSpace(p))
	return len(p), nil
}

// dav makes a request as a user of the server.
func (r *real) dav(t *testing.T, user, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(r.login(user), "pw"+user)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// put stores an object as a user's own calendar client does.
func (r *real) put(t *testing.T, user, calendar, name, object string) {
	t.Helper()
	if status, body := r.dav(t, user, "PUT", r.calendar(user, calendar)+name, object, "Content-Type", "text/calendar; charset=utf-8"); status/100 != 2 {
		t.Fatalf("PUT of %s: %d %s", user, status, body)
	}
}

var objectHref = regexp.MustCompile(`<(?:[A-Za-z]+:)?href>([^<]*\.ics)</`)

// stored are a user's objects in a calendar, by path, with lines unfolded and ending in LF.
func (r *real) stored(t *testing.T, user, calendar string) map[string]string {
	t.Helper()
	status, list := r.dav(t, user, "PROPFIND", r.calendar(user, calendar), `<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>`,
		"Depth", "1", "Content-Type", "application/xml")
	if status != http.StatusMultiStatus {
		t.Fatalf("PROPFIND: %d %s", status, list)
	}
	out := map[string]string{}
	for _, m := range objectHref.FindAllStringSubmatch(list, -1) {
		status, body := r.dav(t, user, "GET", m[1], "")
		if status != http.StatusOK {
			t.Fatalf("GET %s: %d", m[1], status)
		}
		out[m[1]] = strings.NewReplacer("\r\n ", "", "\n ", "", "\r\n", "\n").Replace(body)
	}
	return out
}

// only is the one object in a user's default calendar, and its path.
func (r *real) only(t *testing.T, user string) (path, object string) {
	t.Helper()
	all := r.stored(t, user, r.fixed)
	if len(all) != 1 {
		t.Fatalf("%d objects in the calendar of %s: %v", len(all), user, all)
	}
	for path, object = range all {
	}
	return path, object
}

func wants(t *testing.T, what, object string, present []string, absent ...string) {
	t.Helper()
	for _, p := range present {
		if !strings.Contains(object, p) {
			t.Errorf("%s: no %q in\n%s", what, p, object)
		}
	}
	for _, a := range absent {
		if strings.Contains(object, a) {
			t.Errorf("%s: there is %q in\n%s", what, a, object)
		}
	}
}
