package tally_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/hack/e2e/peer/tally"
)

func deliver(t testing.TB, h http.Handler, uid, method string, recipients ...string) *httptest.ResponseRecorder {
	t.Helper()
	body := strings.ReplaceAll(fmt.Sprintf(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
METHOD:%s
BEGIN:VEVENT
UID:%s
DTSTAMP:20261122T120000Z
DTSTART:20261201T100000Z
SEQUENCE:0
SUMMARY:Meeting
ORGANIZER:mailto:carol@sender.example
ATTENDEE:mailto:alice@example.org
END:VEVENT
END:VCALENDAR
`, method, uid), "\n", "\r\n")
	req := httptest.NewRequest(http.MethodPost, "/ischedule", strings.NewReader(body))
	req.Header.Set(ischedule.HeaderVersion, ischedule.Version)
	req.Header.Set(ischedule.HeaderOriginator, "mailto:carol@sender.example")
	req.Header.Set(ischedule.HeaderRecipient, strings.Join(recipients, ","))
	req.Header.Set("Content-Type", "text/calendar; charset=utf-8; component=VEVENT; method="+method)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestDeliveriesAreCounted(t *testing.T) {
	var counter tally.Tally
	const alice = "mailto:alice@example.org"
	for _, d := range [][2]string{{"a-1@x", "REQUEST"}, {"a-2@x", "REQUEST"}, {"a-2@x", "REQUEST"}, {"a-2@x", "CANCEL"}, {"b-1@x", "REQUEST"}, {"b-1@x", "REQUEST"}} {
		if w := deliver(t, &counter, d[0], d[1], alice); w.Code != http.StatusOK {
			t.Fatalf("%v: %d %s", d, w.Code, w.Body)
		}
	}
	type view struct {
		Deliveries        map[string]int
		Doubled, DoubledA []string
		Missing           []string
		Messages, Times   int
	}
	see := func() view {
		v := view{Deliveries: counter.Deliveries(), Doubled: counter.Doubled(""), DoubledA: counter.Doubled("a-"), Missing: counter.Missing([]string{"b-2@x", "a-1@x", "a-3@x"})}
		v.Messages, v.Times = counter.Count("a-")
		return v
	}
	if diff := cmp.Diff(view{
		Deliveries: map[string]int{"a-1@x REQUEST": 1, "a-2@x REQUEST": 2, "a-2@x CANCEL": 1, "b-1@x REQUEST": 2},
		Doubled:    []string{"a-2@x REQUEST", "b-1@x REQUEST"}, DoubledA: []string{"a-2@x REQUEST"},
		Missing: []string{"b-2@x", "a-3@x"}, Messages: 3, Times: 4,
	}, see()); diff != "" {
		t.Error(diff)
	}
	counter.Reset("a-")
	if diff := cmp.Diff(view{
		Deliveries: map[string]int{"b-1@x REQUEST": 2}, Doubled: []string{"b-1@x REQUEST"}, Missing: []string{"b-2@x", "a-1@x", "a-3@x"},
	}, see()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryRecipientIsAnswered(t *testing.T) {
	w := deliver(t, new(tally.Tally), "a-1@x", "REQUEST", "mailto:alice@example.org", "mailto:bob@example.org")
	response, err := ischedule.ReadResponse(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ischedule.RecipientResult{
		{Recipient: "mailto:alice@example.org", Status: ischedule.StatusDelivered},
		{Recipient: "mailto:bob@example.org", Status: ischedule.StatusDelivered},
	}, response.Results); diff != "" {
		t.Error(diff)
	}
}

func TestCapabilitiesAreTold(t *testing.T) {
	w := httptest.NewRecorder()
	new(tally.Tally).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?action=capabilities", nil))
	if _, err := ischedule.ReadCapabilities(w.Body.Bytes()); w.Code != http.StatusOK || err != nil {
		t.Errorf("%d %v", w.Code, err)
	}
}

// What cannot be read is refused, counted by nobody, and read no further than a megabyte.
func TestWhatIsNoMessageIsRefused(t *testing.T) {
	var counter tally.Tally
	for name, body := range map[string]string{
		"empty": "", "no calendar": "hello", "too large": strings.Repeat("X", 2<<20), "no UID": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
	} {
		source := strings.NewReader(body)
		req := httptest.NewRequest(http.MethodPost, "/", source)
		req.Header.Set(ischedule.HeaderVersion, ischedule.Version)
		req.Header.Set(ischedule.HeaderOriginator, "mailto:carol@sender.example")
		req.Header.Set(ischedule.HeaderRecipient, "mailto:alice@example.org")
		req.Header.Set("Content-Type", "text/calendar; component=VEVENT; method=REQUEST")
		w := httptest.NewRecorder()
		counter.ServeHTTP(w, req)
		if w.Code == http.StatusOK {
			t.Errorf("%s: %s", name, w.Body)
		}
		if read := len(body) - source.Len(); read > 1<<20+1<<16 {
			t.Errorf("%s: %d octets read", name, read)
		}
	}
	if got := counter.Deliveries(); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// A delivery counts also when nobody waits for its answer.
func TestADelayedAnswerIsCountedBefore(t *testing.T) {
	var counter tally.Tally
	server := httptest.NewServer(&counter)
	defer server.Close()
	counter.SetDelay(30 * time.Millisecond)
	began := time.Now()
	if w := deliver(t, &counter, "a-1@x", "REQUEST", "mailto:alice@example.org"); w.Code != http.StatusOK || time.Since(began) < 30*time.Millisecond {
		t.Errorf("%d after %s", w.Code, time.Since(began))
	}
	if messages, _ := counter.Count(""); messages != 1 {
		t.Errorf("%d", messages)
	}
}

func BenchmarkDelivery(b *testing.B) {
	var counter tally.Tally
	for i := 0; b.Loop(); i++ {
		deliver(b, &counter, fmt.Sprintf("%d@x", i), "REQUEST", "mailto:alice@example.org")
	}
}

func TestManyAtOnce(t *testing.T) {
	var counter tally.Tally
	var posting sync.WaitGroup
	for worker := range 8 {
		posting.Go(func() {
			for i := range 20 {
				deliver(t, &counter, fmt.Sprintf("%d-%d@x", worker, i), "REQUEST", "mailto:alice@example.org")
			}
		})
	}
	posting.Wait()
	if messages, deliveries := counter.Count(""); messages != 160 || deliveries != 160 {
		t.Errorf("%d %d", messages, deliveries)
	}
}
