package sender

import (
	"net/url"
	"strings"

	"github.com/calfed/calfed/gateway/cua"
)

// maxRecipientField is how many octets of Recipient one request carries (IS-CAP-7): some servers end a field there.
const maxRecipientField = 4 << 10

// wireForm is an address as an Originator or Recipient field holds it: its own spelling with a scheme, in ASCII,
// without anything that would end a list element. "" when there is no such form.
func wireForm(a cua.Address) string {
	if a.IsZero() {
		return ""
	}
	s := a.URI()
	if !visible(s) && a.Scheme() == "mailto" {
		s = "mailto:" + url.PathEscape(a.Local()) + "@" + a.Domain()
	}
	if !visible(s) || strings.Contains(s, ",") || len(s) > maxRecipientField {
		return ""
	}
	return s
}

// lowerScheme is a mailto: address with its scheme in lower case: DAViCal takes nothing else off before it looks for the user.
func lowerScheme(wire string) string {
	const scheme = "mailto:"
	if len(wire) < len(scheme) || !strings.EqualFold(wire[:len(scheme)], scheme) {
		return wire
	}
	return scheme + wire[len(scheme):]
}

// visible says whether s is all visible ASCII.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}
