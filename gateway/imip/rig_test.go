package imip_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/imip"
	"github.com/calfed/calfed/gateway/itip"
)

// written is when the mails of the tests are written.
var written = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func crlf(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }

// object reads testdata/NAME.ics with CRLF.
func object(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".ics"))
	if err != nil {
		t.Fatal(err)
	}
	return crlf(b)
}

// draft is the mail for a message: to grace when the organizer sends, else from her.
func draft(t testing.TB, body []byte) *imip.Draft {
	t.Helper()
	m, err := itip.Inspect(body, itip.Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &imip.Draft{
		From: m.Organizer, To: cua.MustParse("mailto:grace@receiver.example"),
		Body: body, Message: m, Host: "gw.sender.example", Date: written,
	}
	if !itip.OrganizerSends(m.Method) {
		d.From, d.To = d.To, d.From
	}
	return d
}

func compose(t testing.TB, d *imip.Draft) []byte {
	t.Helper()
	b, _, err := imip.Compose(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// leaf is a part as a mail program sees it.
type leaf struct {
	kind   string
	params map[string]string
	text   string
}

// open reads a mail with one level of parts.
func open(t testing.TB, b []byte) (message.Header, []leaf) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r := e.MultipartReader()
	if r == nil {
		t.Fatalf("no multipart: %s", b)
	}
	var out []leaf
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return e.Header, out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := p.Header.ContentType()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, leaf{kind, params, string(text)})
	}
}
