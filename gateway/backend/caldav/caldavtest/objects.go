package caldavtest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

// Object returns a user's object by its UID, nil when there is none.
func (s *Server) Object(user cua.Address, uid string) []byte {
	return slices.Clone(s.find(user, uid).data)
}

// Path returns where a user's object with a UID is, "" when there is none.
func (s *Server) Path(user cua.Address, uid string) string { return s.find(user, uid).path }

// Put stores an object in a user's calendar, or removes it (nil), as a client that schedules by itself would: nothing is sent.
func (s *Server) Put(user cua.Address, uid string, object []byte) {
	path := s.find(user, uid).path
	for _, u := range s.users {
		if !u.is(user) {
			continue
		}
		if path == "" {
			path = prefix + "/" + u.name() + "/calendars/calendar/" + url.PathEscape(uid) + ".ics"
		}
		_ = s.exchange(u.name(), path, func([]byte) ([]byte, error) { return slices.Clone(object), nil })
	}
}

// find returns a user's object by its UID, the zero item when there is none.
func (s *Server) find(user cua.Address, uid string) item {
	for _, u := range s.users {
		if !u.is(user) {
			continue
		}
		for _, o := range s.all(u.name()) {
			if read, err := parse(o.data); err == nil && read.uid == uid {
				return o
			}
		}
	}
	return item{}
}

// Writes counts what the service wrote or removed.
func (s *Server) Writes() int { return int(s.writes.Load()) }

// item is one object.
type item struct {
	path string
	data []byte
}

// all returns a user's objects, by path.
func (s *Server) all(user string) []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []item
	for path, data := range s.objects[user] {
		out = append(out, item{path, data})
	}
	slices.SortFunc(out, func(a, b item) int { return strings.Compare(a.path, b.path) })
	return out
}

func (s *Server) get(user, path string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[user][path]
}

// exchange puts what change makes of an object in its place, nil removing it, unless change fails.
func (s *Server) exchange(user, path string, change func(old []byte) ([]byte, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, err := change(s.objects[user][path])
	switch {
	case err != nil:
		return err
	case made == nil:
		delete(s.objects[user], path)
	default:
		s.objects[user][path] = made
	}
	return nil
}

func etag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}

// object answers GET, PUT and DELETE of one object: bytes as they were stored.
func (s *Server) object(w http.ResponseWriter, req *http.Request, u *User) {
	path := req.URL.Path
	switch req.Method {
	case http.MethodPut:
		s.put(w, req, u)
	case http.MethodDelete:
		s.remove(w, req, u)
	default:
		data := s.get(u.name(), path)
		if data == nil {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("ETag", `"`+etag(data)+`"`)
		if req.Header.Get("If-None-Match") == `"`+etag(data)+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
		_, _ = w.Write(data)
	}
}

var errPrecondition = errors.New("the object is not as you know it")

// precondition holds a write's conditions against what is stored. RFC 9110 §13.1.
func precondition(req *http.Request, old []byte) error {
	if match := req.Header.Get("If-Match"); match != "" {
		if old == nil || match != "*" && match != `"`+etag(old)+`"` {
			return errPrecondition
		}
	}
	if req.Header.Get("If-None-Match") == "*" && old != nil {
		return errPrecondition
	}
	return nil
}

func (s *Server) put(w http.ResponseWriter, req *http.Request, u *User) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, "the object is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if _, err := parse(body); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	var old []byte
	err = s.exchange(u.name(), req.URL.Path, func(before []byte) ([]byte, error) {
		old = before
		return body, precondition(req, before)
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusPreconditionFailed)
		return
	}
	if s.schedule(w, req, u, old, body) {
		w.Header().Set("ETag", `"`+etag(body)+`"`)
		w.WriteHeader(map[bool]int{true: http.StatusCreated, false: http.StatusNoContent}[old == nil])
	}
}

func (s *Server) remove(w http.ResponseWriter, req *http.Request, u *User) {
	var old []byte
	err := s.exchange(u.name(), req.URL.Path, func(before []byte) ([]byte, error) {
		old = before
		return nil, precondition(req, before)
	})
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusPreconditionFailed)
	case old == nil:
		http.NotFound(w, req)
	case s.schedule(w, req, u, old, nil):
		w.WriteHeader(http.StatusNoContent)
	}
}

// schedule sends what a write makes necessary, and answers the request itself when that fails.
func (s *Server) schedule(w http.ResponseWriter, req *http.Request, u *User, old, made []byte) bool {
	if s.cfg.Schedule == nil || req.Header.Get("Schedule-Reply") == "F" && !s.cfg.Deaf {
		return true
	}
	messages, err := s.consequences(u, old, made)
	for i := 0; err == nil && i < len(messages); i++ {
		err = s.cfg.Schedule(req.Context(), messages[i])
	}
	if err != nil {
		http.Error(w, "stored; "+err.Error(), http.StatusInternalServerError)
		return false
	}
	return true
}
