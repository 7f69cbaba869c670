package manifests

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
)

// jsonAsYAML rewrites the escapes of a JSON text that YAML 1.1 does not know, "\/" and surrogate pairs, without moving
// lines. Other text stays as it is.
func jsonAsYAML(data []byte) []byte {
	if !json.Valid(data) {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' { // in valid JSON it stands in strings only
			out = append(out, data[i])
			continue
		}
		switch next := data[i+1]; next {
		case '/':
			out = append(out, '/')
			i++
		case 'u':
			r := hex4(data[i+2:])
			i += 5
			if utf16.IsSurrogate(r) {
				var low rune
				if i+6 < len(data) && data[i+1] == '\\' && data[i+2] == 'u' {
					low = hex4(data[i+3:])
				}
				// half a pair becomes U+FFFD, as encoding/json has it
				if r = utf16.DecodeRune(r, low); r != '\uFFFD' {
					i += 6
				}
			}
			out = fmt.Appendf(out, `\U%08X`, r)
		default:
			out = append(out, '\\', next)
			i++
		}
	}
	return out
}

// hex4 reads the four digits of \uXXXX, which json.Valid has seen.
func hex4(data []byte) rune {
	n, err := strconv.ParseUint(string(data[:4]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}
