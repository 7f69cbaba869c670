package imip_test

import "testing"

// What our own MX found is believed; what a stranger wrote in its name is not.
//
// Proves: IS-SUB-2
func TestAuthenticationResults(t *testing.T) {
	const dmarc, byDKIM, no = "sender.example by authentication-results dmarc=pass", "sender.example by authentication-results dkim=pass", "not-proven"
	const me = "mx.receiver.example; "
	strict := txt("_dmarc.sender.example", "v=DMARC1; p=none; adkim=s")
	for _, tt := range []struct {
		rule   string
		fields []string
		zone   string
		want   string
	}{
		{"dmarc=pass", []string{me + "dmarc=pass header.from=sender.example"}, "", dmarc},
		{"as OpenDMARC and rspamd write", []string{"MX.receiver.example 1;\r\n\tspf=pass smtp.mailfrom=x@y.example;\r\n\tdmarc=pass (policy=none; p=none) header.from=Sender.example (p=none)"}, "", dmarc},
		{"dkim=pass, aligned", []string{me + "dkim=pass header.d=sender.example header.s=x"}, "", byDKIM},
		{"dkim=pass by header.i", []string{me + "dkim=pass header.i=@mail.sender.example"}, "", byDKIM},
		{"dkim=pass, and no record for dmarc", []string{me + "dkim=pass header.d=mail.sender.example; dmarc=none header.from=sender.example"}, "", byDKIM},
		{"dkim=pass of a subdomain, strict", []string{me + "dkim=pass header.d=mail.sender.example"}, strict, no},
		{"dkim=fail", []string{me + "dkim=fail header.d=sender.example"}, "", no},
		{"dkim=pass of another", []string{me + "dkim=pass header.d=evil.example"}, "", no},
		{"dmarc=pass of another", []string{me + "dmarc=pass header.from=evil.example"}, "", no},
		{"dmarc=pass of nobody", []string{me + "dmarc=pass"}, "", no},
		{"dmarc=fail beats dkim=pass", []string{me + "dkim=pass header.d=sender.example; dmarc=fail header.from=sender.example"}, "", no},
		{"two judgements", []string{me + "dmarc=fail header.from=evil.example; dmarc=pass header.from=sender.example"}, "", no},
		{"spf=pass alone", []string{me + "spf=pass smtp.mailfrom=ada@sender.example"}, "", no},
		{"none", []string{me + "none"}, "", no},
		{"another's name", []string{"mx.evil.example; dmarc=pass header.from=sender.example"}, "", no},
		{"a name that begins like ours", []string{"mx.receiver.example.evil.example; dmarc=pass header.from=sender.example"}, "", no},
		{"ours below another's", []string{"mx.evil.example; none", me + "dmarc=pass header.from=sender.example"}, "", no},
		{"a second one of ours", []string{me + "none", me + "dmarc=pass header.from=sender.example"}, "", no},
		{"in a comment", []string{me + "spf=fail (x; dmarc=pass header.from=sender.example; y)"}, "", no},
		{"in a nested comment", []string{me + "spf=fail (x (y) ; dmarc=pass header.from=sender.example)"}, "", no},
		{"behind an escaped end of a comment", []string{me + `spf=fail (x \); dmarc=pass header.from=sender.example; y=z)`}, "", no},
		{"behind an escaped end of a quoted string", []string{me + `spf=fail smtp.mailfrom="x\"; dmarc=pass header.from=sender.example; y=\"z"@evil.example`}, "", no},
		{"in a quoted string", []string{me + `spf=fail smtp.mailfrom="x; dmarc=pass header.from=sender.example; y"@evil.example`}, "", no},
		{"a comment without end", []string{me + "dmarc=pass header.from=sender.example (x"}, "", no},
		{"a quoted string without end", []string{me + `dmarc=pass header.from=sender.example; x="y`}, "", no},
		{"another version", []string{"mx.receiver.example 2; dmarc=pass header.from=sender.example"}, "", no},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, _ := world(t, tt.zone)
			if got := verdict(v.Verify(t.Context(), results(invitation(t), tt.fields...), ada)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("none is believed without a name", func(t *testing.T) {
		v, _ := world(t)
		v.AuthservID = ""
		if got := verdict(v.Verify(t.Context(), results(invitation(t), "; dmarc=pass header.from=sender.example"), ada)); got != no {
			t.Error(got)
		}
	})
	t.Run("a calendar alone is believed by its signature only", func(t *testing.T) {
		v, _ := world(t)
		mail := []byte("From: ada@sender.example\r\n" + entity(calendarType, "8bit", string(object(t, "invitation"))))
		if got := verdict(v.Verify(t.Context(), results(mail, me+"dmarc=pass header.from=sender.example"), ada)); got != no {
			t.Error(got)
		}
	})
}
