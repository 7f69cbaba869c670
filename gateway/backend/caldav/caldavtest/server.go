// Package caldavtest is a small CalDAV server in memory that schedules by itself (RFC 4791, RFC 6638), in the manner of SabreDAV: for
// tests of what writes into such servers, and for the demo, where a calendar program can connect to it.
//
// What a user's client stores it reads for invitations and answers, and hands these to Schedule; a write that says
// Schedule-Reply: F is not answered. It applies no message itself, keeps one calendar a user, and has no Inbox.
package caldavtest

import (
	"context"
	"crypto/subtle"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-webdav/caldav"

	"github.com/calfed/calfed/gateway/cua"
)

// User is a calendar user. Its name, for logging in and in paths, is the part of Address before the @.
type User struct {
	Address  cua.Address
	Aliases  []cua.Address
	Password string
}

func (u *User) name() string {
	local, _, _ := strings.Cut(strings.TrimPrefix(u.Address.URI(), "mailto:"), "@")
	return local
}

// is says whether an address is the user's.
func (u *User) is(a cua.Address) bool {
	for _, own := range append([]cua.Address{u.Address}, u.Aliases...) {
		if own.Equal(a) {
			return true
		}
	}
	return false
}

// Message is an iTIP message that a user's write made necessary.
type Message struct {
	Originator cua.Address
	Recipients []cua.Address
	Body       []byte
}

// Config of a Server.
type Config struct {
	Users []User
	// Service is the name that the gateway logs in with; it may write into every calendar.
	Service, ServicePassword string
	// Schedule sends what a write made necessary, before the write is answered; nil = nothing is sent. Its error is answered
	// with 500, and the write stands.
	Schedule func(ctx context.Context, m Message) error
	// Deaf servers schedule although a write says Schedule-Reply: F, as Cyrus does.
	Deaf bool
	Now  func() time.Time // nil = time.Now
}

// Server is an http.Handler. Safe for concurrent use.
//
//	/dav/{user}/                              principal
//	/dav/{user}/calendars/                    calendar home
//	/dav/{user}/calendars/calendar/           the calendar
//	/dav/{user}/calendars/calendar/{name}.ics one object
type Server struct {
	cfg   Config
	users map[string]*User
	dav   caldav.Handler

	mu      sync.Mutex
	objects map[string]map[string][]byte // by user name and path

	writes atomic.Int64 // by the service
}

const prefix = "/dav"

// classes are what clients look for; one that misses the last sends invitations itself, by mail.
const classes = "1, 3, calendar-access, calendar-auto-schedule"

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, users: make(map[string]*User), objects: make(map[string]map[string][]byte)}
	for i := range cfg.Users {
		u := &cfg.Users[i]
		s.users[u.name()] = u
		s.objects[u.name()] = make(map[string][]byte)
	}
	s.dav = caldav.Handler{Backend: &library{s}, Prefix: prefix}
	return s
}

// maxBody bounds a request's body, in octets.
const maxBody = 1 << 20

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	login, ok := s.login(req)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="calendars", charset="UTF-8"`)
		http.Error(w, "log in with your user name and password", http.StatusUnauthorized)
		return
	}
	w.Header().Set("DAV", classes)
	if req.Method == http.MethodOptions {
		w.Header().Set("Allow", "OPTIONS, PROPFIND, REPORT, GET, HEAD, PUT, DELETE")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxBody)
	name, rest := split(req.URL.Path)
	switch {
	case req.URL.Path == "/" || req.URL.Path == "/.well-known/caldav" || name == "":
		if req.Method == "REPORT" {
			s.search(w, req)
			return
		}
		if req.URL.Path == "/.well-known/caldav" {
			http.Redirect(w, req, prefix+"/", http.StatusMovedPermanently)
			return
		}
		if req.Method == "PROPFIND" {
			s.root(w, login)
			return
		}
		name = login
	case s.users[name] == nil:
		http.NotFound(w, req)
		return
	case login != name && login != s.cfg.Service:
		http.Error(w, "this is somebody else's calendar", http.StatusForbidden)
		return
	}
	switch {
	case req.Method == "PROPFIND" && rest == "":
		s.principal(w, s.users[name])
	case req.Method == "PROPFIND" && rest == "calendars/calendar/" && req.Header.Get("Depth") == "0":
		s.calendar(w, s.users[name])
	case strings.HasPrefix(rest, "calendars/calendar/") && strings.HasSuffix(rest, ".ics") && plain(req.Method):
		if login == s.cfg.Service && (req.Method == http.MethodPut || req.Method == http.MethodDelete) {
			s.writes.Add(1)
		}
		s.object(w, req, s.users[name])
	default:
		if req.Method == "PROPFIND" && req.ContentLength == 0 { // asks for everything (RFC 4918 §9.1)
			req.Body = io.NopCloser(strings.NewReader(`<propfind xmlns="DAV:"><allprop/></propfind>`))
			req.Header.Set("Content-Type", "application/xml")
		}
		s.dav.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), userKey{}, name)))
	}
}

// plain says whether a method is for an object as bytes.
func plain(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodPut || method == http.MethodDelete
}

// split takes a path apart: "/dav/ann/calendars/x" is ann and "calendars/x".
func split(path string) (user, rest string) {
	after, ok := strings.CutPrefix(path, prefix+"/")
	if !ok {
		return "", ""
	}
	user, rest, _ = strings.Cut(after, "/")
	return user, rest
}

// login returns whose password came with the request.
func (s *Server) login(req *http.Request) (string, bool) {
	name, password, _ := req.BasicAuth()
	want := s.cfg.ServicePassword
	if name != s.cfg.Service {
		u := s.users[strings.ToLower(strings.Split(name, "@")[0])]
		if u == nil {
			return "", false
		}
		name, want = u.name(), u.Password
	}
	return name, want != "" && subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 1
}
