package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calfed/calfed/gateway/dkim"
)

// at is when requests of these tests are signed.
var at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// calfed runs the command line in this process: exit code, what it printed, and the error it would end with.
func calfed(t *testing.T, stdin []byte, args ...string) (code int, out string, err error) {
	t.Helper()
	code, out, _, err = calfedSaying(t, stdin, args...)
	return code, out, err
}

// calfedSaying is calfed with what went to stderr.
func calfedSaying(t *testing.T, stdin []byte, args ...string) (code int, out, diary string, err error) {
	t.Helper()
	var buf, errs bytes.Buffer
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(&buf)
	root.SetErr(&errs)
	root.SetIn(bytes.NewReader(stdin))
	err = root.ExecuteContext(t.Context())
	var exit *exitError
	switch {
	case err == nil:
		code = exitOK
	case errors.As(err, &exit):
		code = exit.code
	default:
		code = exitUsage
	}
	return code, buf.String(), errs.String(), err
}

// signedRequest is a request file signed with a new key; the record is the key's.
func signedRequest(t *testing.T, file string) (raw []byte, record string) {
	t.Helper()
	key := newKey(t)
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", file))
	if err != nil {
		t.Fatal(err)
	}
	return resign(t, data, key), recordOf(t, key)
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := dkim.GenerateKey("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func recordOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	record, err := dkim.FormatRecord(key.Public(), false)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func resign(t *testing.T, data []byte, key crypto.Signer) []byte {
	t.Helper()
	req, err := parseRequestFile(data)
	if err != nil {
		t.Fatal(err)
	}
	signer := dkim.Signer{Domain: "example.org", Selector: "cal", Key: key}
	value, err := signer.Sign(req.Header, req.Body, at)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := req.writeWith(&out, "DKIM-Signature", value); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Proves: IS-DKIM-1, IS-DKIM-2, IS-DKIM-6, IS-DKIM-8
func TestVerifyJudgesAsAReceiverWould(t *testing.T) {
	signed, record := signedRequest(t, "unsigned.req")
	replace := func(old, new string) []byte {
		if !bytes.Contains(signed, []byte(old)) {
			t.Fatalf("nothing to replace: %q", old)
		}
		return bytes.Replace(signed, []byte(old), []byte(new), 1)
	}
	signature := signed[bytes.Index(signed, []byte("DKIM-Signature:")):]
	signature = signature[:bytes.Index(signature, []byte("\r\n"))+2]
	unlike := append(bytes.Replace(bytes.TrimSuffix(signature, []byte("\r\n")), []byte("d=example.org"), []byte("d=other.example"), 1), "\r\n"...)

	for name, tc := range map[string]struct {
		raw    []byte
		reason string // "" = verified
	}{
		"as it was signed":                       {signed, ""},
		"field names in another case":            {replace("Originator:", "ORIGINATOR:"), ""},
		"blanks around a value":                  {replace("Recipient: mailto:", "Recipient:   mailto:"), ""},
		"a folded value":                         {replace("charset=utf-8; component", "charset=utf-8;\r\n component"), ""},
		"a blank line before the request":        {append([]byte("\r\n"), signed...), ""},
		"header lines that end in LF":            {lfHeader(signed), ""},
		"no Content-Length":                      {dropLine(signed, "Content-Length"), ""},
		"a line end behind the body":             {append(bytes.Clone(signed), "\r\n\r\n"...), ""},
		"chunked":                                {chunked(signed), ""},
		"chunked, written down decoded":          {replace("Host:", "Transfer-Encoding: chunked\r\nHost:"), ""},
		"Expect: 100-continue":                   {replace("Host:", "Expect: 100-continue\r\nHost:"), ""},
		"an unsigned field more":                 {replace("Host:", "X-Forwarded-For: 192.0.2.1\r\nHost:"), ""},
		"a broken signature before the good one": {replace("DKIM-Signature:", string(unlike)+"DKIM-Signature:"), ""},
		"the body changed":                       {replace("SUMMARY:Tea", "SUMMARY:Ten"), dkim.ReasonBodyHash},
		"the body cut":                           {signed[:len(signed)-20], dkim.ReasonBodyHash},
		"the body longer than Content-Length":    {append(bytes.Clone(signed), "X"...), dkim.ReasonBodyHash},
		"a signed field changed":                 {replace("iSchedule-Message-ID: 1", "iSchedule-Message-ID: 2"), dkim.ReasonBadSignature},
		"a recipient added":                      {replace("Recipient: mailto:bert@example.net", "Recipient: mailto:bert@example.net,mailto:eve@example.net"), dkim.ReasonBadSignature},
		"a second Recipient field":               {replace("Host:", "Recipient: mailto:eve@example.net\r\nHost:"), dkim.ReasonBadSignature},
		"no signature":                           {bytes.Replace(signed, signature, nil, 1), dkim.ReasonMissing},
		"nonsense as signature":                  {replace("DKIM-Signature: v=1;", "DKIM-Signature: v=1; novalue;"), dkim.ReasonSyntax},
		"l=":                                     {replace("; bh=", "; l=10; bh="), dkim.ReasonLength},
		"another canonicalisation":               {replace("c=ischedule-relaxed/simple", "c=relaxed/simple"), dkim.ReasonCanonicalization},
		"rsa-sha1":                               {replace("a=ed25519-sha256", "a=rsa-sha1"), dkim.ReasonAlgorithm},
		"Recipient left out of h=":               {replace("Recipient:", "Cc:"), "recipient-missing"},
		"d= of somebody else":                    {replace("d=example.org", "d=other.example"), dkim.ReasonAlignment},
		"t= left out":                            {replace("; t=1795348800", ""), dkim.ReasonTimeMissing},
		"two Originators":                        {replace("Originator:", "Originator: mailto:eve@example.org\r\nOriginator:"), "originator-duplicate"},
		"no version":                             {dropLine(signed, "iSchedule-Version"), "version-missing"},
		"another media type":                     {replace("text/calendar", "text/plain"), "content-type"},
		"an Originator that is no address":       {replace("mailto:anna@example.org\r\nRecipient", "mailto:anna\r\nRecipient"), "address-syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, err := calfed(t, tc.raw, "dkim", "verify", "-", "--record", record, "--at", at.Format(time.RFC3339))
			want := "verified\n"
			wantCode := exitOK
			if tc.reason != "" {
				want, wantCode = "reason: "+tc.reason+"\n", exitFailed
			}
			if code != wantCode || !strings.HasSuffix(out, want) {
				t.Errorf("exit %d, error %v, want %d and %q:\n%s", code, err, wantCode, want, out)
			}
		})
	}
}

// Proves: IS-DKIM-7
func TestVerifySignatureTimeOptional(t *testing.T) {
	// what Bedework signs: the four mandatory fields, no t=, no Message-ID, and its Content-Type has no parameters
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", "unsigned.req"))
	if err != nil {
		t.Fatal(err)
	}
	data = dropLine(data, "iSchedule-Message-ID")
	data = bytes.Replace(data, []byte("; charset=utf-8; component=VEVENT; method=REQUEST"), nil, 1)
	for name, tc := range map[string]struct {
		args []string
		code int
		last string
	}{
		"required": {nil, exitFailed, "reason: " + dkim.ReasonTimeMissing},
		"optional": {[]string{"--signature-time", "Optional"}, exitOK, "verified"},
	} {
		t.Run(name, func(t *testing.T) {
			raw, record := signedWithoutTime(t, data)
			args := append([]string{"dkim", "verify", "-", "--record", record, "--at", at.Format(time.RFC3339)}, tc.args...)
			code, out, err := calfed(t, raw, args...)
			if code != tc.code || !strings.HasSuffix(out, tc.last+"\n") {
				t.Errorf("exit %d, error %v:\n%s", code, err, out)
			}
			for _, note := range []string{"note  content-type", "note  message-id"} {
				if !strings.Contains(out, note) {
					t.Errorf("no %q in:\n%s", note, out)
				}
			}
		})
	}
}

// signedWithoutTime signs as Bedework does, by hand: our own signer never leaves t= out.
func signedWithoutTime(t *testing.T, data []byte) (raw []byte, record string) {
	t.Helper()
	key := newKey(t)
	req, err := parseRequestFile(data)
	if err != nil {
		t.Fatal(err)
	}
	body := sha256.Sum256(req.Body)
	value := "v=1; a=ed25519-sha256; c=ischedule-relaxed/simple; d=example.org; s=cal; h=Originator:Recipient:Content-Type:iSchedule-Version; bh=" +
		base64.StdEncoding.EncodeToString(body[:]) + "; b="
	hashed := sha256.Sum256([]byte("originator:mailto:anna@example.org\r\nrecipient:mailto:bert@example.net\r\n" +
		"content-type:text/calendar\r\nischedule-version:1.0\r\ndkim-signature:" + value))
	signature, err := key.Sign(nil, hashed[:], crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := req.writeWith(&out, "DKIM-Signature", value+base64.StdEncoding.EncodeToString(signature)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), recordOf(t, key)
}

func TestVerifyFileThatIsNoRequest(t *testing.T) {
	signed, record := signedRequest(t, "unsigned.req")
	for name, raw := range map[string][]byte{
		"nothing":               nil,
		"no end of the header":  signed[:200],
		"a GET":                 bytes.Replace(signed, []byte("POST"), []byte("GET"), 1),
		"no request line":       signed[bytes.IndexByte(signed, '\n')+1:],
		"a field without colon": bytes.Replace(signed, []byte("Host:"), []byte("Host"), 1),
		"broken chunks":         bytes.Replace(chunked(signed), []byte("\r\n0\r\n"), []byte("\r\nzz\r\n"), 1),
		"binary":                bytes.Repeat([]byte{0, 0xff}, 500),
	} {
		t.Run(name, func(t *testing.T) {
			if code, out, err := calfed(t, raw, "dkim", "verify", "-", "--record", record); code != exitUsage || err == nil {
				t.Errorf("exit %d, error %v:\n%s", code, err, out)
			}
		})
	}
}

// lfHeader ends the header's lines with LF alone; the body stays.
func lfHeader(raw []byte) []byte {
	end, _ := headerEnd(raw)
	return append(bytes.ReplaceAll(raw[:end], []byte("\r\n"), []byte("\n")), append([]byte("\n"), raw[end+2:]...)...)
}

func dropLine(raw []byte, field string) []byte {
	start := bytes.Index(raw, []byte("\n"+field+":")) + 1
	return append(bytes.Clone(raw[:start]), raw[start+bytes.IndexByte(raw[start:], '\n')+1:]...)
}

// chunked moves the body over in two chunks.
func chunked(raw []byte) []byte {
	raw = bytes.Replace(dropLine(raw, "Content-Length"), []byte("Host:"), []byte("Transfer-Encoding: chunked\r\nHost:"), 1)
	end, _ := headerEnd(raw)
	body := raw[end+2:]
	return fmt.Appendf(bytes.Clone(raw[:end+2]), "%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 7, body[:7], len(body)-7, body[7:])
}

func FuzzRequestFile(f *testing.F) {
	for _, name := range []string{"unsigned.req", "cyrus-vevent.req", "davical-vevent-simple-http.req"} {
		data, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(lfHeader(data))
		f.Add(chunked(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := parseRequestFile(data)
		if err != nil {
			return
		}
		// a field more changes nothing else
		var out bytes.Buffer
		if err := req.writeWith(&out, "X-Fuzz", "1"); err != nil {
			t.Fatal(err)
		}
		again, err := parseRequestFile(out.Bytes())
		if err != nil {
			t.Fatalf("no longer a request: %v", err)
		}
		if !bytes.Equal(again.Body, req.Body) {
			t.Errorf("body %q became %q", req.Body, again.Body)
		}
		if len(again.Header["X-Fuzz"]) != len(req.Header["X-Fuzz"])+1 {
			t.Errorf("header %v became %v", req.Header, again.Header)
		}
	})
}
