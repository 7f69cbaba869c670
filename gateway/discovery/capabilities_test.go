package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// one starts a peer that h serves, and a zone that leads to it.
func (r *rig) one(h http.HandlerFunc) *peer {
	r.t.Helper()
	p := r.peer(host("cal.peer.test"), h)
	r.zone(srv("peer.test", 0, "cal.peer.test", p.port), address("cal.peer.test", "127.0.0.1"))
	return p
}

// Proves: IS-CAP-5
func TestCapabilitiesAreCachedByHTTPFreshness(t *testing.T) {
	r := newRig(t)
	p := r.one(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		serving("/.well-known/ischedule")(w, req)
	})
	r.find("peer.test")
	r.advance(10*time.Minute - time.Second)
	if got := r.find("peer.test"); !strings.Contains(strings.Join(got.Steps, "\n"), "cached") {
		t.Errorf("steps do not tell of the cache: %q", got.Steps)
	}
	if n := len(p.requests()); n != 1 {
		t.Errorf("asked %d times while fresh, want once", n)
	}
	r.advance(time.Second)
	r.find("peer.test")
	if n := len(p.requests()); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// Proves: IS-CAP-5
func TestStaleCapabilitiesAreAskedForByTheirTag(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	tag, notModified := `"one"`, 0
	r.one(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch req.URL.Path {
		case "/.well-known/ischedule":
			if req.Header.Get("If-None-Match") != "" {
				t.Error("a tag was sent where it is not from")
			}
			http.Redirect(w, req, "/ischedule", http.StatusFound)
			return
		}
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "max-age=60")
		if req.Header.Get("If-None-Match") == tag {
			notModified++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(document(uint64(len(tag))))
	})
	first := r.find("peer.test")
	for range 3 { // the tag is kept from one 304 to the next
		r.advance(time.Minute)
		if again := r.find("peer.test"); again.Capabilities.Serial != first.Capabilities.Serial {
			t.Errorf("%+v", again.Capabilities)
		}
	}
	mu.Lock()
	if notModified != 3 {
		t.Errorf("%d conditional requests, want 3", notModified)
	}
	tag = `"another"`
	mu.Unlock()
	r.advance(time.Minute)
	if again := r.find("peer.test"); again.Capabilities.Serial != uint64(len(`"another"`)) {
		t.Errorf("changed, and read are %+v", again.Capabilities)
	}
}

// Proves: IS-CAP-5
func TestAnotherSerialReloadsAtMostOnceAMinute(t *testing.T) {
	r := newRig(t)
	var mu sync.Mutex
	serial := uint64(7)
	p := r.one(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("iSchedule-Capabilities", fmt.Sprint(serial))
		w.Header().Set("Cache-Control", "max-age=86400")
		if req.Method == http.MethodGet {
			_, _ = w.Write(document(serial))
		}
	})
	gets := func() (n int) {
		for _, e := range p.requests() {
			if e.Method == http.MethodGet {
				n++
			}
		}
		return n
	}
	post := func() {
		t.Helper()
		if _, err := r.disc.Post(t.Context(), r.find("peer.test"), http.Header{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	post()
	r.advance(time.Hour)
	post()
	if n := gets(); n != 1 {
		t.Errorf("the same serial: asked %d times, want once", n)
	}
	mu.Lock()
	serial = 8
	mu.Unlock()
	post() // sees 8
	if got := r.find("peer.test"); got.Capabilities.Serial != 8 || gets() != 2 {
		t.Errorf("serial %d after %d requests", got.Capabilities.Serial, gets())
	}
	mu.Lock()
	serial = 9
	mu.Unlock()
	r.advance(30 * time.Second)
	post() // sees 9, half a minute after the last request
	if got := r.find("peer.test"); got.Capabilities.Serial != 8 || gets() != 2 {
		t.Errorf("reloaded within a minute: serial %d after %d requests", got.Capabilities.Serial, gets())
	}
	r.advance(30 * time.Second)
	if got := r.find("peer.test"); got.Capabilities.Serial != 9 || gets() != 3 {
		t.Errorf("serial %d after %d requests", got.Capabilities.Serial, gets())
	}
}

// Proves: IS-CAP-5
func TestAConnectionClosedWithoutAnAnswerIsTriedAgain(t *testing.T) {
	for aborts, ok := range map[int]bool{1: true, 2: true, 3: false} {
		t.Run(fmt.Sprint(aborts), func(t *testing.T) {
			r := newRig(t)
			var mu sync.Mutex
			left := aborts
			p := r.one(func(w http.ResponseWriter, req *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if left > 0 {
					left--
					panic(http.ErrAbortHandler)
				}
				serving("/.well-known/ischedule")(w, req)
			})
			_, err := r.disc.Find(t.Context(), "peer.test", nil)
			if (err == nil) != ok || (!ok && !errors.Is(err, discovery.ErrTemporary)) {
				t.Errorf("err = %v, want ok = %v", err, ok)
			}
			if n := len(p.requests()); n != min(aborts+1, 3) {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Proves: IS-CAP-5
func TestOneRequestForCapabilitiesInFlight(t *testing.T) {
	r := newRig(t)
	arrived, open := make(chan struct{}, 10), make(chan struct{})
	p := r.one(func(w http.ResponseWriter, req *http.Request) {
		arrived <- struct{}{}
		<-open
		serving("/.well-known/ischedule")(w, req)
	})
	// The first caller gives up; whoever waits beside it takes over.
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := r.disc.Find(ctx, "peer.test", nil)
		first <- err
	}()
	<-arrived
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := r.disc.Find(t.Context(), "peer.test", nil); err != nil {
				t.Error(err)
			}
		})
	}
	cancel()
	if err := <-first; !errors.Is(err, discovery.ErrTemporary) || !errors.Is(err, context.Canceled) {
		t.Errorf("first: %v", err)
	}
	close(open)
	wg.Wait()
	if n := len(p.requests()); n != 2 {
		t.Errorf("%d requests, want the given up one and one more", n)
	}
}

// Proves: IS-CAP-8, IS-SEND-6
func TestWhatIsNoCapabilitiesDocument(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	good := string(document(7))
	tests := []struct {
		name string
		h    http.HandlerFunc
		want error
	}{
		{"a document type declaration", text(strings.Replace(good, "<query-result", `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><query-result`, 1)), discovery.ErrNoService},
		{"larger than 256 KiB", text(good + strings.Repeat(" ", ischedule.MaxCapabilitiesBytes)), discovery.ErrNoService},
		{"without an end", func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, discovery.ErrNoService},
		{"a page for people", text("<html><body>Welcome</body></html>"), discovery.ErrNoService},
		{"nothing", text(""), discovery.ErrNoService},
		{"401", status(401), discovery.ErrNoService},
		{"403", status(403), discovery.ErrNoService},
		{"404", status(404), discovery.ErrNoService},
		{"410", status(410), discovery.ErrNoService},
		{"204", status(204), discovery.ErrNoService},
		{"408", status(408), discovery.ErrTemporary},
		{"425", status(425), discovery.ErrTemporary},
		{"429", status(429), discovery.ErrTemporary},
		{"500", status(500), discovery.ErrTemporary},
		{"502", status(502), discovery.ErrTemporary},
		{"503", status(503), discovery.ErrTemporary},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.one(tt.h)
			_, err := r.disc.Find(t.Context(), "peer.test", nil)
			if !errors.Is(err, tt.want) || (errors.Is(err, discovery.ErrNoService) && errors.Is(err, discovery.ErrTemporary)) {
				t.Errorf("err = %v, want %v", err, tt.want)
			}
		})
	}
}

// Proves: IS-CAP-8
func TestTheOldCapabilitySchemaIsRead(t *testing.T) {
	r := newRig(t)
	r.one(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`<?xml version="1.0"?><query-result xmlns="urn:ietf:params:xml:ns:ischedule"><capability-set>
<supported-version-set><version>1.0</version></supported-version-set>
<supported-scheduling-message-set><comp name="VEVENT"><method name="REQUEST"/></comp></supported-scheduling-message-set>
</capability-set></query-result>`))
	})
	if got := r.find("peer.test"); !got.Capabilities.Allows("VEVENT", "REQUEST") || got.Capabilities.Allows("VTODO", "REQUEST") {
		t.Errorf("%+v", got.Capabilities)
	}
}

// DAViCal answers 404 to every query but its own, and one that a policy names is asked so too.
//
// Proves: IS-CAP-5
func TestDAViCalIsAskedInItsOwnWords(t *testing.T) {
	r := newRig(t)
	r.one(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("query") != "capabilities" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(document(7))
	})
	if _, err := r.disc.Find(t.Context(), "peer.test", nil); !errors.Is(err, discovery.ErrNoService) {
		t.Errorf("others are asked so too: %v", err)
	}
	profile := &snapshot.Outbound{SignatureProfile: snapshot.SignatureDAViCal}
	got, err := r.disc.Find(t.Context(), "peer.test", profile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got.URL, "?") {
		t.Errorf("the query is part of %s", got.URL)
	}
}

// Proves: IS-SEND-1
func TestReceiversWithOtherSignaturesAreOthers(t *testing.T) {
	r := newRig(t)
	r.one(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document(7)) })
	usual, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{})
	if err != nil {
		t.Fatal(err)
	}
	old, err := r.disc.Find(t.Context(), "peer.test", &snapshot.Outbound{SignatureProfile: snapshot.SignatureDAViCal})
	if err != nil {
		t.Fatal(err)
	}
	if usual.Key == old.Key {
		t.Errorf("one request would serve both: %s", old.Key)
	}
}

func TestATargetThatHangsLeavesTimeForTheNext(t *testing.T) {
	r := newRig(t)
	hanging := r.peer(host("cal.peer.test"), func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	good := r.peer(host("cal.peer.test"), serving("/.well-known/ischedule"))
	r.zone(srv("peer.test", 1, "cal.peer.test", hanging.port), srv("peer.test", 2, "cal.peer.test", good.port), address("cal.peer.test", "127.0.0.1"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if got, err := r.disc.Find(ctx, "peer.test", nil); err != nil || !strings.Contains(got.URL, good.port) {
		t.Errorf("%+v %v", got, err)
	}
}
