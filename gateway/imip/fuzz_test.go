package imip_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
)

// Whatever mail comes in: no panic, a proper error, and a message that is what it claims to be.
func FuzzParse(f *testing.F) {
	body := string(object(f, "invitation"))
	for _, seed := range []string{
		head + entity(calendarType, "8bit", body),
		head + multi("mixed", "b", multi("alternative", "b2", plainPart, entity(calendarType, "base64", b64(body))), entity("application/ics", "quoted-printable", qp(body))),
		head + entity("text/calendar; charset=utf-16; method=REQUEST", "base64", b64(utf16le(body))),
		head + multi("signed", "b", plainPart, "Content-Type: application/ms-tnef\r\n\r\nx"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, mail []byte) {
		m, err := imip.Parse(mail, itip.Limits{}, 1000)
		if err != nil {
			var e *imip.Error
			if !errors.Is(err, imip.ErrNoITIP) && (!errors.As(err, &e) || e.Reason == "" || e.Description == "") {
				t.Fatalf("%T is no proper error", err)
			}
			return
		}
		if !bytes.HasSuffix(m.Body, []byte("\r\n")) || m.Message.Method == "" || strings.ContainsAny(m.MessageID, "\r\n ") {
			t.Fatalf("%+v", m)
		}
		if _, err := itip.Inspect(m.Body, itip.Limits{}, 1000); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := imip.Parties(m.Message, nil); err != nil {
			return
		}
		d := &imip.Draft{From: ada, To: ada, Body: m.Body, Message: m.Message, Host: "gw.sender.example", Date: written}
		again, _, err := imip.Compose(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := imip.Parse(again, itip.Limits{}, 1000)
		if err != nil || !bytes.Equal(back.Body, m.Body) {
			t.Fatalf("our own mail: %v", err)
		}
	})
}

// Whatever mail comes in, it proves nothing without a key of the domain in DNS.
func FuzzVerify(f *testing.F) {
	plain := invitation(f)
	f.Add(plain)
	f.Add(signed(f, plain, "sender.example", "ed", "ed"))
	f.Add(signed(f, signed(f, plain, "sender.example", "rsa", "rsa"), "evil.example", "ed", "other"))
	f.Add(results(plain, `mx.receiver.example; spf=fail (x; \) y) smtp.mailfrom="a; dmarc=pass"`))
	v := &imip.Verifier{AuthservID: "mx.receiver.example", LookupTXT: func(_ context.Context, name string) ([]string, error) {
		if strings.HasPrefix(name, "ed.") {
			return []string{"v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEAjkRBaWj8gNXfxSVpTPRtqlEFwe0="}, nil
		}
		return nil, nil
	}}
	f.Fuzz(func(t *testing.T, mail []byte) {
		proof, err := v.Verify(t.Context(), mail, ada)
		var e *imip.Error
		switch {
		case err == nil && strings.HasPrefix(proof.How, "dkim"):
			t.Fatalf("%+v", proof)
		case err != nil && (!errors.As(err, &e) || e.Reason == ""):
			t.Fatalf("%T is no proper error", err)
		}
	})
}
