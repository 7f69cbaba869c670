package receiver_test

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// specimen is a valid signed request as bytes, and the time it is valid at.
type specimen struct {
	bytes []byte
	at    time.Time
}

func specimens(t testing.TB) []specimen {
	t.Helper()
	raw := func(m *mail) specimen {
		var b bytes.Buffer
		b.WriteString(m.wire(t, "Content-Length: "+strconv.Itoa(len(m.body))) + "\r\n" + m.body)
		return specimen{b.Bytes(), start}
	}
	double := invitation(t, "double")
	double.signers = append(double.signers, dkim.Signer{Domain: "sender.example", Selector: "rsa", Key: privateKey(t, "sender.rsa.pem")})
	return []specimen{
		raw(invitation(t, "ed")),
		raw(invitation(t, "rsa", "mailto:guest@gw.example", "mailto:amy@two.example").sign(t, "sender.example", "rsa", "sender.rsa.pem")),
		raw(question(t, "fb", "20261125T000000Z", "20261126T000000Z", "mailto:guest@gw.example")),
		raw(double),
		{testdata(t, "cyrus-vevent.req"), time.Unix(1795348663, 0)},
		{testdata(t, "cyrus-vfreebusy-2rcpt.req"), time.Unix(1795348962, 0)},
	}
}

// Ten thousand random changes to valid signed requests: no panic, no 5xx, and none is accepted whose signed parts changed.
//
// Proves: IS-RECV-1, IS-DKIM-1, IS-DKIM-2, IS-DKIM-3, IS-DKIM-4
func TestMutations(t *testing.T) {
	rnd := rand.New(rand.NewPCG(20261122, 5))
	w := newWorld(t)
	w.gw.answer, w.two.answer = talkative, talkative
	base := specimens(t)
	originals := make([]*http.Request, len(base))
	for i, s := range base {
		originals[i] = parseRequest(t, s.bytes)
		if rec, _ := w.serveBytes(s); rec.Code != http.StatusOK {
			t.Fatalf("specimen %d: %d (%s)", i, rec.Code, w.reason())
		}
	}
	accepted, unparsable := 0, 0
	for n := range 10_000 {
		i := rnd.IntN(len(base))
		changed := base[i].bytes
		for range 1 + rnd.IntN(3) {
			changed = mutate(rnd, changed)
		}
		rec, req := w.serveBytes(specimen{changed, base[i].at})
		status := rec.Code
		switch {
		case req == nil:
			unparsable++
		case status >= 500:
			t.Fatalf("mutation %d: %d (%s)\n%s", n, status, w.reason(), changed)
		case status == http.StatusOK && req.Method == http.MethodPost:
			accepted++
			if what := signedDifference(originals[i], parseRequest(t, changed)); what != "" {
				t.Fatalf("mutation %d was accepted with another %s:\n%s", n, what, changed)
			}
		}
	}
	t.Logf("%d accepted with their signed parts intact, %d no HTTP", accepted, unparsable)
	if accepted == 0 || unparsable > 5000 {
		t.Error("the mutations do not reach the rules")
	}
}

// serveBytes serves one request to a receiver that remembers nothing. The request is nil when the bytes are no HTTP.
func (w *world) serveBytes(s specimen) (*httptest.ResponseRecorder, *http.Request) {
	rec := httptest.NewRecorder()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(s.bytes)))
	if err != nil {
		return rec, nil
	}
	req.RemoteAddr = "192.0.2.1:1"
	w.now = s.at
	w.log.Reset()
	w.shared = &receiver.Shared{}
	w.renew()
	w.gw.got, w.two.got = nil, nil
	w.receiver.ServeHTTP(rec, req)
	return rec, req
}

// mutate makes one random change.
func mutate(rnd *rand.Rand, in []byte) []byte {
	out := bytes.Clone(in)
	at := rnd.IntN(len(out))
	switch rnd.IntN(9) {
	case 0: // flip a bit
		out[at] ^= 1 << rnd.IntN(8)
	case 1: // change a byte for another that is often found
		out[at] = []byte("\r\n :;,=@<>\"\\/aA0.%\t\x00")[rnd.IntN(20)]
	case 2: // drop a few
		end := min(len(out), at+1+rnd.IntN(8))
		out = append(out[:at], out[end:]...)
	case 3: // say a few twice
		end := min(len(out), at+1+rnd.IntN(8))
		out = append(out[:end], in[at:]...)
	case 4: // change case
		if c := out[at] | 0x20; c >= 'a' && c <= 'z' {
			out[at] ^= 0x20
		}
	case 5, 6, 7: // drop, double or move a line
		lines := bytes.SplitAfter(out, []byte("\n"))
		i, j := rnd.IntN(len(lines)), rnd.IntN(len(lines))
		switch rnd.IntN(3) {
		case 0:
			lines = append(lines[:i], lines[i+1:]...)
		case 1:
			lines = append(lines[:i+1], lines[i:]...)
		default:
			lines[i], lines[j] = lines[j], lines[i]
		}
		out = bytes.Join(lines, nil)
	default: // another party or blanks
		words := []string{"mailto:eve@sender.example", "guest2@gw.example", ",", " ", "\r\n ", "Recipient: mailto:guest2@gw.example\r\n", "h=Originator;", "l=0; ", "t=1; "}
		out = append(append(out[:at:at], words[rnd.IntN(len(words))]...), in[at:]...)
	}
	if len(out) == 0 {
		return in
	}
	return out
}

func parseRequest(t testing.TB, raw []byte) *http.Request {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return req
}

var (
	blanks       = regexp.MustCompile(`[ \t]+`)
	aroundCommas = regexp.MustCompile(`[ \t]*,[ \t]*`)
	signedValue  = regexp.MustCompile(`(^|;)([ \t]*b[ \t]*=)[^;]*`)
	signedNames  = regexp.MustCompile(`;[ \t]*h[ \t]*=([^;]*)`)
)

// signedDifference names a signed part in which two requests differ, by a canonicalisation written for this test alone:
// "" when there is none.
func signedDifference(a, b *http.Request) string {
	canonical := func(values []string) string {
		return strings.Trim(aroundCommas.ReplaceAllString(blanks.ReplaceAllString(strings.Join(values, ","), " "), ","), " ")
	}
	signature := func(v string) string { return signedValue.ReplaceAllString(canonical([]string{v}), "$1$2") }
	for _, original := range a.Header["Dkim-Signature"] {
		for _, other := range b.Header["Dkim-Signature"] {
			if signature(original) != signature(other) {
				continue
			}
			for name := range strings.SplitSeq(blanks.ReplaceAllString(signedNames.FindStringSubmatch(original)[1], ""), ":") {
				if canonical(a.Header.Values(name)) != canonical(b.Header.Values(name)) {
					return name
				}
			}
			x, _ := io.ReadAll(a.Body)
			a.Body = io.NopCloser(bytes.NewReader(x))
			y, _ := io.ReadAll(b.Body)
			b.Body = io.NopCloser(bytes.NewReader(y))
			for bytes.HasSuffix(y, []byte("\r\n")) { // empty lines at the end count as one
				y = y[:len(y)-2]
			}
			if string(bytes.TrimSuffix(x, []byte("\r\n"))) != string(y) {
				return "body"
			}
			return ""
		}
	}
	return "DKIM-Signature"
}

// Whatever arrives, the answer is an answer: no panic, no 5xx, our version, and a document that can be read.
//
// Proves: IS-CAP-2, IS-RECV-2
func FuzzServeHTTP(f *testing.F) {
	for _, s := range specimens(f) {
		f.Add(s.bytes)
	}
	f.Add([]byte("GET /.well-known/ischedule?action=capabilities HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nBEGIN\r\n0\r\n\r\n"))
	w := newWorld(f, senderPolicy(func(in *snapshot.Inbound) { // no cache, no look-ups: the fuzzer wants equal inputs to take equal ways
		in.PinnedKeys = []snapshot.PinnedKey{{Selector: "ed", Record: record(f, "sender.ed25519.pem")}, {Selector: "rsa", Record: record(f, "sender.rsa.pem")}}
	}))
	w.gw.answer, w.two.answer = talkative, talkative
	f.Fuzz(func(t *testing.T, raw []byte) {
		w.t = t
		rec, req := w.serveBytes(specimen{raw, start})
		if req == nil {
			return
		}
		if rec.Code >= 500 {
			t.Errorf("%d (%s)", rec.Code, w.reason())
		}
		if rec.Header().Get("iSchedule-Version") != "1.0" || rec.Header().Get("iSchedule-Capabilities") != "7" {
			t.Errorf("%v", rec.Header())
		}
		if rec.Code >= 400 {
			if _, ok := ischedule.ReadError(rec.Code, rec.Body.Bytes()); !ok {
				t.Errorf("%d: %s", rec.Code, rec.Body)
			}
		}
	})
}
