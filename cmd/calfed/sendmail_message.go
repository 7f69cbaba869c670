package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/calfed/calfed/gateway/cua"
)

// outgoing is a mail on its way out, lines ended by CRLF.
type outgoing struct {
	fields []string // header fields with their continuations and line ends
	body   []byte   // with the empty line before it
}

// readOutgoing reads what a program wrote on standard input: line ends of any kind, an mbox "From " line on top, and, with
// dotEnds, a line with a single dot at the end.
func readOutgoing(raw []byte, dotEnds bool) *outgoing {
	m := &outgoing{}
	inHeader := true
	for i, line := range bytes.Split(bytes.TrimSuffix(lineEnds(raw), []byte("\n")), []byte("\n")) {
		text := string(line)
		switch {
		case i == 0 && (strings.HasPrefix(text, "From ") || strings.HasPrefix(text, ">From ")):
			continue
		case dotEnds && text == ".":
			return m.ended()
		case inHeader && len(m.fields) > 0 && (strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t")):
			m.fields[len(m.fields)-1] += text + "\r\n"
			continue
		case inHeader && isField(text):
			m.fields = append(m.fields, text+"\r\n")
			continue
		case inHeader && text != "":
			m.body = append(m.body, "\r\n"...) // a body without a header, or one that nothing separates
		}
		inHeader = false
		m.body = append(append(m.body, line...), "\r\n"...)
	}
	return m.ended()
}

// ended has an empty line after the header, whatever was written.
func (m *outgoing) ended() *outgoing {
	if len(m.body) == 0 {
		m.body = []byte("\r\n")
	}
	return m
}

// lineEnds makes LF of each line end.
func lineEnds(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(raw, []byte("\r"), []byte("\n"))
}

// isField says whether a line begins a header field (RFC 5322 §2.2).
func isField(line string) bool {
	name, _, found := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	return found && name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

func fieldName(field string) string {
	name, _, _ := strings.Cut(field, ":")
	return strings.TrimRight(name, " \t")
}

// values are those of all fields called name, unfolded.
func (m *outgoing) values(name string) (out []string) {
	for _, f := range m.fields {
		if strings.EqualFold(fieldName(f), name) {
			_, value, _ := strings.Cut(f, ":")
			out = append(out, strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "")))
		}
	}
	return out
}

func (m *outgoing) remove(name string) {
	kept := m.fields[:0]
	for _, f := range m.fields {
		if !strings.EqualFold(fieldName(f), name) {
			kept = append(kept, f)
		}
	}
	m.fields = kept
}

// addresses are the mailboxes in all fields called name. Programs write "To: root" as well.
func (m *outgoing) addresses(name string) (out []string, err error) {
	for _, value := range m.values(name) {
		if value == "" {
			continue
		}
		list, err := mail.ParseAddressList(value)
		if err == nil {
			for _, a := range list {
				out = append(out, a.Address)
			}
			continue
		}
		for element := range strings.SplitSeq(value, ",") {
			element = strings.TrimSpace(element)
			if a, err := mail.ParseAddress(element); err == nil {
				out = append(out, a.Address)
			} else if local, _, _ := strings.Cut(element, " ("); local != "" && !strings.ContainsAny(local, " \"<>@():;[]\\") {
				out = append(out, local)
			} else if element != "" {
				return nil, fmt.Errorf("%q is no address", element)
			}
		}
	}
	return out, nil
}

// complete adds the fields without which no mail leaves (RFC 6409 §8). A null sender writes From itself.
func (m *outgoing) complete(from, name string) {
	add := func(field, value string) {
		if len(m.values(field)) == 0 {
			m.fields = append(m.fields, field+": "+value+"\r\n")
		}
	}
	if from != "" {
		author := mail.Address{Name: name, Address: from}
		add("From", author.String())
		_, host, _ := strings.Cut(from, "@")
		if domain, err := cua.Domain(host); err == nil {
			add("Message-ID", "<"+rand.Text()+"@"+domain+">")
		}
	}
	add("Date", time.Now().Format(time.RFC1123Z))
}

func (m *outgoing) bytes() []byte { return append([]byte(strings.Join(m.fields, "")), m.body...) }
