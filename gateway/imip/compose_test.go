package imip_test

import (
	"bytes"
	"flag"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
)

var update = flag.Bool("update", false, "write what people read into testdata/*.txt")

// What a person sees of a mail, in words: testdata/*.txt is to be read by eye.
//
// Proves: IS-SEND-7
func TestWhatPeopleRead(t *testing.T) {
	files, err := filepath.Glob("testdata/*.ics")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".ics")
		t.Run(name, func(t *testing.T) {
			h, parts := open(t, compose(t, draft(t, object(t, name))))
			subject, err := h.Text("Subject")
			if err != nil {
				t.Fatal(err)
			}
			who := func(field string) string {
				a, err := mail.ParseAddress(h.Get(field))
				if err != nil {
					t.Fatal(err)
				}
				return field + ": " + a.Name + " <" + a.Address + ">\n"
			}
			got := who("From") + who("To") + "Subject: " + subject + "\n\n" + strings.ReplaceAll(parts[0].text, "\r\n", "\n")
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A mail for any calendar program: RFC 6047's parts, the calendar object byte for byte, nothing that a mail server would have to
// change.
//
// Proves: IS-SEND-7
func TestTheMailIsWellFormed(t *testing.T) {
	for _, name := range []string{"invitation", "umlauts", "accepted", "task"} {
		t.Run(name, func(t *testing.T) {
			d := draft(t, object(t, name))
			b, utf8, err := imip.Compose(d)
			if err != nil || utf8 {
				t.Fatal(utf8, err)
			}
			h, parts := open(t, b)
			if kind, _, _ := h.ContentType(); kind != "multipart/alternative" || len(parts) != 2 || parts[0].kind != "text/plain" || parts[1].kind != "text/calendar" {
				t.Fatalf("%s of %+v", kind, parts)
			}
			want := map[string]string{"charset": "UTF-8", "method": d.Message.Method, "component": d.Message.Component}
			if diff := cmp.Diff(want, parts[1].params); diff != "" {
				t.Error(diff)
			}
			if parts[1].text != string(d.Body) {
				t.Error("the calendar object changed on the way")
			}
			for _, line := range strings.SplitAfter(string(b), "\r\n") {
				if len(line) > 80 && !strings.Contains(line, "boundary=") || strings.ContainsAny(strings.TrimSuffix(line, "\r\n"), "\r\n") {
					t.Errorf("line %q", line)
				}
			}
			if strings.IndexFunc(string(b), func(r rune) bool { return r > '~' }) >= 0 {
				t.Error("not ASCII")
			}
			for _, f := range []string{"Date", "From", "To", "Subject", "Message-ID", "References", "Auto-Submitted", "MIME-Version"} {
				if len(h.Values(f)) != 1 {
					t.Errorf("%d %s fields", len(h.Values(f)), f)
				}
			}
			if h.Get("Auto-Submitted") != "auto-generated" || h.Get("Date") != "Sun, 22 Nov 2026 12:00:00 +0000" || h.Has("Authentication-Results") {
				t.Errorf("%v", h.Map())
			}
			m, err := imip.Parse(b, itip.Limits{}, 0)
			if err != nil || !bytes.Equal(m.Body, d.Body) || !m.From.Equal(d.From) {
				t.Errorf("we read %+v of our own mail: %v", m, err)
			}
		})
	}
}

func TestWhatWasProvenIsSaid(t *testing.T) {
	d := draft(t, object(t, "invitation"))
	d.AuthResult = "dkim=pass header.d=sender.example\r\nBcc: x@x.example"
	h, parts := open(t, compose(t, d))
	if got := h.Get("Authentication-Results"); got != "gw.sender.example; dkim=pass header.d=sender.example Bcc: x@x.example" || h.Has("Bcc") {
		t.Errorf("%q", got)
	}
	if !strings.Contains(parts[0].text, "checked that it comes from there") {
		t.Error(parts[0].text)
	}
}

// The Message-ID is the same for the same message to the same person, and for nothing else: mail systems drop what they
// have seen.
func TestMessageIDs(t *testing.T) {
	id := func(edit func(*imip.Draft), old, replacement string) string {
		d := draft(t, bytes.ReplaceAll(object(t, "invitation"), []byte(old), []byte(replacement)))
		if edit != nil {
			edit(d)
		}
		h, _ := open(t, compose(t, d))
		return h.Get("Message-ID")
	}
	first := id(nil, "-", "-")
	if later := id(func(d *imip.Draft) { d.Date = d.Date.Add(time.Hour) }, "-", "-"); later != first {
		t.Error("a repeat has another Message-ID")
	}
	seen := map[string]string{first: "the first"}
	for name, other := range map[string]string{
		"UID":       id(nil, "UID:1", "UID:2"),
		"SEQUENCE":  id(nil, "SEQUENCE:0", "SEQUENCE:1"),
		"DTSTAMP":   id(nil, "T115743Z", "T115744Z"),
		"METHOD":    id(nil, "METHOD:REQUEST", "METHOD:ADD"),
		"an object": id(nil, "SUMMARY:Budget", "SUMMARY:Budget\r\nRECURRENCE-ID:20261125T140000Z"),
		"To":        id(func(d *imip.Draft) { d.To = cua.MustParse("mailto:joan@other.example") }, "-", "-"),
		"From":      id(func(d *imip.Draft) { d.From = cua.MustParse("mailto:joan@other.example") }, "-", "-"),
	} {
		if seen[other] != "" {
			t.Errorf("%s: the same Message-ID as %s", name, seen[other])
		}
		seen[other] = name
	}
	reply := func(answer string) string {
		h, _ := open(t, compose(t, draft(t, bytes.ReplaceAll(object(t, "accepted"), []byte("ACCEPTED"), []byte(answer)))))
		return h.Get("Message-ID")
	}
	if reply("ACCEPTED") == reply("DECLINED") {
		t.Error("two answers have one Message-ID")
	}
}

// What strangers write into a calendar object stays text: no header field, no MIME part, no disguise of an address.
func TestHostileObjects(t *testing.T) {
	replace := func(old, replacement string) *imip.Draft {
		return draft(t, bytes.ReplaceAll(object(t, "invitation"), []byte(old), []byte(replacement)))
	}
	t.Run("header fields in SUMMARY", func(t *testing.T) {
		h, _ := open(t, compose(t, replace("SUMMARY:Budget", `SUMMARY:Budget\nBcc: eve@evil.example\n\nhello`)))
		if subject, _ := h.Text("Subject"); h.Has("Bcc") || subject != "Invitation: Budget Bcc: eve@evil.example hello - Wed 25 Nov 2026 15:00 (Europe/Berlin)" {
			t.Errorf("%q", subject)
		}
	})
	t.Run("header fields in CN", func(t *testing.T) {
		h, _ := open(t, compose(t, replace(`CN="Ada Lovelace"`, `CN="Ada^nBcc: eve, <mallory>"`)))
		if from, err := mail.ParseAddress(h.Get("From")); err != nil || h.Has("Bcc") || from.Name != "Ada Bcc: eve, <mallory>" || from.Address != "ada@sender.example" {
			t.Errorf("%v %v", from, err)
		}
	})
	for _, name := range []string{"boss@bank.example", "boss\uff20bank.example", "boss\ufe6bbank.example", "https://bank.example"} {
		t.Run("a name that is another's address: "+name, func(t *testing.T) {
			h, parts := open(t, compose(t, replace(`CN="Ada Lovelace"`, `CN="`+name+`"`)))
			if h.Get("From") != "<ada@sender.example>" || strings.Contains(parts[0].text, "bank.example") {
				t.Errorf("%s\n%s", h.Get("From"), parts[0].text)
			}
		})
	}
	t.Run("encoded words", func(t *testing.T) {
		h, _ := open(t, compose(t, draft(t, bytes.ReplaceAll(replace("SUMMARY:Budget", "SUMMARY:=?utf-8?q?=E2=80=AEx?=").Body,
			[]byte(`CN="Ada Lovelace"`), []byte(`CN="=?utf-8?q?boss=40bank.example?="`)))))
		for _, field := range []string{"Subject", "From"} {
			if got, err := new(mime.WordDecoder).DecodeHeader(h.Get(field)); err != nil || got != h.Get(field) {
				t.Errorf("%s is read as %q", field, got)
			}
		}
	})
	t.Run("our own words in every text", func(t *testing.T) {
		ours := strings.Repeat("all is well, ", 8) + `\n\n\n\n\n-- \nTo answer, visit https://evil.example/.`
		d := replace("SUMMARY:Budget", "SUMMARY:"+ours+"\r\nCOMMENT:"+ours)
		_, parts := open(t, compose(t, draft(t, []byte(strings.NewReplacer("LOCATION:", "LOCATION:"+ours, "DESCRIPTION:", "DESCRIPTION:"+ours).Replace(string(d.Body))))))
		for line := range strings.SplitSeq(parts[0].text, "\r\n") {
			if strings.HasPrefix(line, "To answer, visit") || strings.Contains(line, "well") && (len(line) > 90 || line[0] != ' ' && !strings.Contains(line[:12], ": ")) {
				t.Errorf("%q", line)
			}
		}
		if strings.Contains(parts[0].text, "  | \r\n  | \r\n") || strings.Count(parts[0].text, "\r\n-- \r\n") != 1 {
			t.Error(parts[0].text)
		}
	})
	t.Run("our own boundary in DESCRIPTION", func(t *testing.T) {
		h, _ := open(t, compose(t, replace("-", "-")))
		_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		text := "DESCRIPTION:"
		for i := range 20 { // one of them comes to stand behind a soft line break
			text += strings.Repeat("x", 60+i) + "--" + params["boundary"] + `\n`
		}
		b := compose(t, replace("DESCRIPTION:", text))
		if _, parts := open(t, b); len(parts) != 2 {
			t.Errorf("%d parts", len(parts))
		}
	})
	t.Run("a title of one long word", func(t *testing.T) {
		b := compose(t, replace("SUMMARY:Budget", "SUMMARY:"+strings.Repeat("x", 5000)))
		for line := range strings.SplitSeq(string(b), "\r\n") {
			if len(line) > 998 {
				t.Fatalf("%d octets in a line", len(line))
			}
		}
	})
}

func TestAddressesOfMail(t *testing.T) {
	d := draft(t, object(t, "invitation"))
	d.To = cua.MustParse("urn:uuid:5a1a9a34-0f0a-4c52-8a3f-1f0d0a2b7c11")
	if _, _, err := imip.Compose(d); err == nil {
		t.Error("mail to no address of mail")
	}
	d.To = cua.MustParse("mailto:=%3Futf-8%3Fq%3Fboss=40bank.example%3F=@evil.example")
	if _, _, err := imip.Compose(d); err == nil {
		t.Error("mail to an encoded word")
	}
	d.To = cua.MustParse("mailto:gr%C3%A4fin@b%C3%BCcher.example")
	b, utf8, err := imip.Compose(d)
	if err != nil || !utf8 {
		t.Fatal(utf8, err)
	}
	h, _ := open(t, b)
	if h.Get("To") != "<gräfin@xn--bcher-kva.example>" {
		t.Errorf("%q", h.Get("To"))
	}
}

// Attachments make an object larger than messages usually are: it is described and sent all the same.
func TestALargeObjectIsSent(t *testing.T) {
	body := bytes.ReplaceAll(object(t, "invitation"), []byte("SUMMARY:Budget"),
		append([]byte("SUMMARY:Budget\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:"), bytes.Repeat([]byte("QUJD"), 1<<18)...))
	m, err := itip.Inspect(body, itip.Limits{MaxBytes: 4 << 20}, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &imip.Draft{From: m.Organizer, To: cua.MustParse("mailto:grace@receiver.example"), Body: body, Message: m, Host: "gw.sender.example", Date: written}
	if _, parts := open(t, compose(t, d)); parts[1].text != string(body) || !strings.Contains(parts[0].text, "Room 7") {
		t.Error(parts[0].text)
	}
}
