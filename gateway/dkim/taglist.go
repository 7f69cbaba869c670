package dkim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Bounds on what strangers send; far above anything a signer writes.
const (
	maxFieldBytes = 8 << 10 // one DKIM-Signature value or key record
	maxTags       = 64
	maxNames      = 64 // in h=
	maxListItems  = 16 // in q= and in the lists of a key record
)

// tag is one tag-spec of a tag-list (RFC 6376 §3.2). value has no outer white space; start and end are
// the place of everything between "=" and ";" in the list.
type tag struct {
	name, value string
	start, end  int
}

type tagList []tag

// parseTagList reads a tag-list, folded or not. Tag names are case-sensitive, duplicates fail, a
// trailing ";" is allowed.
func parseTagList(s string) (tagList, error) {
	if len(s) > maxFieldBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxFieldBytes)
	}
	if !plainText(s) {
		return nil, errors.New("control or non-ASCII character, or a broken fold")
	}
	list := make(tagList, 0, 12)
	for pos := 0; pos < len(s); {
		end := len(s)
		if i := strings.IndexByte(s[pos:], ';'); i >= 0 {
			end = pos + i
		}
		spec := s[pos:end]
		if trimFWS(spec) == "" {
			if end == len(s) && len(list) > 0 {
				break // white space after the last ";"
			}
			return nil, errors.New("empty tag")
		}
		eq := strings.IndexByte(spec, '=')
		if eq < 0 {
			return nil, errors.New("tag without =")
		}
		name := trimFWS(spec[:eq])
		if !isTagName(name) {
			return nil, fmt.Errorf("bad tag name %.20q", name)
		}
		if _, dup := list.get(name); dup {
			return nil, fmt.Errorf("tag %.20s= twice", name)
		}
		if len(list) == maxTags {
			return nil, fmt.Errorf("more than %d tags", maxTags)
		}
		list = append(list, tag{name: name, value: trimFWS(spec[eq+1:]), start: pos + eq + 1, end: end})
		pos = end + 1
	}
	if len(list) == 0 {
		return nil, errors.New("no tags")
	}
	return list, nil
}

func (l tagList) get(name string) (tag, bool) {
	for _, t := range l {
		if t.name == name {
			return t, true
		}
	}
	return tag{}, false
}

// plainText says whether s holds only visible ASCII, blanks and whole folds (line end, then a blank).
func plainText(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\t', c >= ' ' && c <= '~':
		case c == '\r' || c == '\n':
			n := foldLen(s[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		default:
			return false
		}
	}
	return true
}

// foldLen returns the length of the line end that s starts with when a blank follows it, else 0. A
// bare LF counts: net/http reads it as a line end too.
func foldLen(s string) int {
	n := 1
	if s[0] == '\r' {
		n = 2
	}
	if len(s) > n && s[n-1] == '\n' && isBlank(s[n]) {
		return n
	}
	return 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func trimFWS(s string) string { return strings.Trim(s, " \t\r\n") }

func isTagName(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c == '_' || c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return s != ""
}

// splitList reads a colon-separated list; blanks around colons do not count, empty items fail.
func splitList(s string, limit int) ([]string, error) {
	if strings.Count(s, ":") >= limit {
		return nil, fmt.Errorf("more than %d items", limit)
	}
	items := strings.Split(s, ":")
	for i, item := range items {
		items[i] = trimFWS(item)
		if items[i] == "" {
			return nil, errors.New("empty item")
		}
	}
	return items, nil
}

// decodeBase64 ignores white space and is strict about the rest, so that one signature has one spelling.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, " \t\r\n") {
		s = strings.Join(strings.Fields(s), "")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err == nil && len(b) == 0 {
		err = errors.New("empty")
	}
	return b, err
}
