package dkim_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
)

// readRequest reads a recorded HTTP/1.1 request.
func readRequest(t testing.TB, name string) (http.Header, []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return req.Header, body
}

// recordOf turns a PEM public key into a key record.
func recordOf(t testing.TB, name string) *dkim.Record {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	rec, err := dkim.ParseRecord("v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(block.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// verify runs what a receiver runs, in its order.
func verify(h http.Header, body []byte, value string, rec *dkim.Record, now time.Time, r dkim.Rules) error {
	sig, err := dkim.ParseSignature(value)
	if err != nil {
		return err
	}
	if err := sig.CheckStatic(h); err != nil {
		return err
	}
	if err := sig.CheckTime(now, r); err != nil {
		return err
	}
	if err := sig.CheckBody(body); err != nil {
		return err
	}
	return sig.CheckKey(h, rec, r)
}

// reasonOf returns the reason code of err, "" for nil.
func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var e *dkim.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is no *dkim.Error", err, err)
	}
	return e.Reason
}

// Requests recorded from other implementations.
//
// Proves: IS-DKIM-1, IS-DKIM-2, IS-DKIM-3, IS-DKIM-5, IS-DKIM-6
func TestRecordedRequests(t *testing.T) {
	for _, tc := range []struct {
		file, key, want string
		sent            int64 // the t= of the file
		domain          string
	}{
		{"cyrus-vevent.req", "cyrus-example.org.pub.pem", "", 1795348663, "example.org"},
		{"cyrus-vfreebusy-2rcpt.req", "cyrus-example.org.pub.pem", "", 1795348962, "example.org"},
		{"davical-vevent-simple-http.req", "davical-dav.example.net.pub.pem", dkim.ReasonCanonicalization, 1795349441, "dav.example.net"},
	} {
		t.Run(tc.file, func(t *testing.T) {
			h, body := readRequest(t, tc.file)
			values, err := dkim.Fields(h)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := dkim.ParseSignature(values[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := sig.AlignedWith(tc.domain, nil); err != nil {
				t.Error(err)
			}
			err = verify(h, body, values[0], recordOf(t, tc.key), time.Unix(tc.sent, 0), dkim.Rules{})
			if got := reasonOf(t, err); got != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// The DAViCal signature is refused for its canonicalisation and, on its own, for l=.
//
// Proves: IS-DKIM-6
func TestChecksShowsAllThatIsWrong(t *testing.T) {
	h, body := readRequest(t, "davical-vevent-simple-http.req")
	sig, err := dkim.ParseSignature(h.Get(dkim.FieldName))
	if err != nil {
		t.Fatal(err)
	}
	failed := map[string]string{}
	for _, c := range sig.Checks(h, body, recordOf(t, "davical-dav.example.net.pub.pem"), sig.Time, dkim.Rules{}) {
		if c.Err != nil {
			failed[c.Name] = reasonOf(t, c.Err)
		}
	}
	want := map[string]string{
		"canonicalization": dkim.ReasonCanonicalization,
		"body length":      dkim.ReasonLength,
		"signature":        dkim.ReasonBadSignature,
	}
	if len(failed) != len(want) {
		t.Errorf("failed checks %v, want %v", failed, want)
	}
	for name, reason := range want {
		if failed[name] != reason {
			t.Errorf("%s: got %q, want %q", name, failed[name], reason)
		}
	}

	h, body = readRequest(t, "cyrus-vevent.req")
	sig, err = dkim.ParseSignature(h.Get(dkim.FieldName))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sig.Checks(h, body, recordOf(t, "cyrus-example.org.pub.pem"), sig.Time, dkim.Rules{}) {
		if c.Err != nil {
			t.Errorf("%s: %v", c.Name, c.Err)
		}
	}
}
