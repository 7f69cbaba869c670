package resolver

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// maxName is the longest domain name in text, without the trailing dot (RFC 1035 §2.3.4).
const maxName = 253

// rooted checks a name before anything is asked and returns it lower-case with its trailing dot, so that no search
// list can apply. Letters, digits, hyphens and underscores only: every name asked for here is one of those.
func rooted(name string) (string, error) {
	s := strings.ToLower(strings.TrimSuffix(name, "."))
	if s == "" || len(s) > maxName {
		return "", fmt.Errorf("%w: length %d", ErrName, len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return "", fmt.Errorf("%w: label of length %d", ErrName, len(label))
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return "", fmt.Errorf("%w: character %q", ErrName, c)
			}
		}
	}
	return s + ".", nil
}

// plain is the form in which callers see a name.
func plain(fqdn string) string {
	return strings.TrimSuffix(dns.CanonicalName(fqdn), ".")
}

// unescape turns the presentation form that miekg/dns keeps of a character-string (\DDD, \X) into its octets.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		if i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]) {
			out = append(out, (s[i+1]-'0')*100+(s[i+2]-'0')*10+(s[i+3]-'0'))
			i += 3
			continue
		}
		i++
		out = append(out, s[i])
	}
	return string(out)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
