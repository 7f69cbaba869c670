package dkim

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"strings"
)

// profile is what makes DKIM over HTTP differ from DKIM over mail. The engine runs with iSchedule; the
// differential test runs the same engine with mail's relaxed/simple against another implementation.
type profile struct {
	canonicalizations []string // accepted c= values; the first one is written
	joins             bool     // equal-named fields become one, blanks around commas go
	mandatory         []string // h= must name them and the message must have them
	optional          []string // signed when present
	services          []string // s= of a key record must hold one of these, when it is there
}

var iSchedule = profile{
	canonicalizations: []string{"ischedule-relaxed/simple", "ischedule-relaxed"},
	joins:             true,
	mandatory:         []string{"Content-Type", "iSchedule-Version", "Originator", "Recipient"},
	optional:          []string{"iSchedule-Message-ID", "User-Agent", "Authorization"},
	services:          []string{"*", serviceISchedule},
}

// appendField appends "name:value CRLF" in ischedule-relaxed form (D05 §7.2). It gives the same bytes for
// values as they stood on the wire, folds and outer blanks included, and as net/http delivers them.
// False: a value holds a line end that is no fold, or a NUL; hashed as it is, it could pass for two fields.
// IS-DKIM-2.
func (p profile) appendField(dst []byte, name string, values []string) ([]byte, bool) {
	dst = append(dst, strings.ToLower(name)...)
	dst = append(dst, ':')
	dst, ok := p.appendValue(dst, values)
	return append(dst, '\r', '\n'), ok
}

func (p profile) appendValue(dst []byte, values []string) ([]byte, bool) {
	// blank: white space was seen that counts if text follows; fresh: white space here never counts.
	blank, fresh := false, true
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
			blank, fresh = false, true
		}
		for j := 0; j < len(value); j++ {
			switch c := value[j]; {
			case c == 0:
				return dst, false
			case c == '\r' || c == '\n':
				n := foldLen(value[j:])
				if n == 0 {
					return dst, false
				}
				j += n - 1
			case isBlank(c):
				blank = !fresh
			case c == ',' && p.joins:
				dst = append(dst, ',')
				blank, fresh = false, true
			default:
				if blank {
					dst = append(dst, ' ')
				}
				dst = append(dst, c)
				blank, fresh = false, false
			}
		}
	}
	return dst, true
}

// headerHash hashes the fields that names lists, then the DKIM-Signature value with its b= emptied,
// without a line end. A repeated name adds nothing; a field that the message lacks adds nothing
// (RFC 6376 §5.4). IS-DKIM-2, IS-DKIM-3.
func (p profile) headerHash(h http.Header, names []string, signature string) ([sha256.Size]byte, error) {
	buf := make([]byte, 0, 1024)
	for i, name := range names {
		values := h[http.CanonicalHeaderKey(name)]
		if len(values) == 0 || containsFold(names[:i], name) {
			continue
		}
		var ok bool
		if buf, ok = p.appendField(buf, name, values); !ok {
			return [sha256.Size]byte{}, failf(ReasonHeaders, "field %s holds a line end or NUL", name)
		}
	}
	buf = append(buf, "dkim-signature:"...)
	buf, ok := p.appendValue(buf, []string{signature})
	if !ok {
		return [sha256.Size]byte{}, failf(ReasonSyntax, "broken fold")
	}
	return sha256.Sum256(buf), nil
}

var crlf = []byte("\r\n")

// bodyHash hashes the simple form of body (RFC 6376 §3.4.3): empty lines at the end go, one line end
// stays or is added. IS-DKIM-1.
func bodyHash(body []byte) [sha256.Size]byte {
	for bytes.HasSuffix(body, crlf) {
		body = body[:len(body)-len(crlf)]
	}
	h := sha256.New()
	h.Write(body)
	h.Write(crlf)
	return [sha256.Size]byte(h.Sum(nil))
}

func containsFold(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}
