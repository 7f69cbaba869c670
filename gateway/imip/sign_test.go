package imip_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
)

func TestSignRefuses(t *testing.T) {
	if _, err := imip.Sign([]byte("nonsense\r\n\r\n"), "sender.example", "ed", keys["ed"]); err == nil {
		t.Error("signed what is no mail")
	}
	if _, err := imip.Sign([]byte("To: x@y.example\r\n\r\n"), "sender.example", "ed", keys["ed"]); err == nil {
		t.Error("signed a mail without From")
	}
}

// A signature of ours covers what people go by, and no second From can be put beside it.
func TestOurSignature(t *testing.T) {
	mail := ours(t, invitation(t), "ed")
	v, _ := world(t)
	got, err := dkim.VerifyWithOptions(bytes.NewReader(mail), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return v.LookupTXT(t.Context(), name)
	}})
	if err != nil || len(got) != 1 || got[0].Err != nil || !got[0].Expiration.IsZero() {
		t.Fatalf("%+v %v", got, err)
	}
	signs := fmt.Sprint(got[0].HeaderKeys)
	if signs != "[From From To Subject Date Message-ID References Auto-Submitted MIME-Version Content-Type]" {
		t.Error(signs)
	}
	m, err := imip.Parse(mail, itip.Limits{}, 0)
	if err != nil || m.Message.Method != "REQUEST" {
		t.Error(err)
	}
	second := append([]byte("From: eve@evil.example\r\n"), mail...)
	if got, err := dkim.VerifyWithOptions(bytes.NewReader(second), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return v.LookupTXT(t.Context(), name)
	}}); err != nil || got[0].Err == nil {
		t.Error("a second From was taken")
	}
}
