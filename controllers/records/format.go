package records

import (
	"fmt"
	"strings"
)

// BIND writes records as lines of a zone file (RFC 1035 §5).
func BIND(records []Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s %d IN %s", r.Name, r.TTL, r.Type)
		if r.Type == "TXT" {
			for _, s := range r.Text {
				b.WriteString(` "` + zoneString(s) + `"`)
			}
		} else {
			b.WriteString(" " + r.Data())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Data is the data as zone files write it, the strings of a TXT record joined and without quotes: "0 0 443 gw.example.org.".
// It is what probe.Answers hold.
func (r Record) Data() string {
	switch {
	case r.SRV != nil:
		return fmt.Sprintf("%d %d %d %s", r.SRV.Priority, r.SRV.Weight, r.SRV.Port, r.SRV.Target)
	case r.Target != "":
		return r.Target
	}
	return zoneString(r.Joined())
}

// zoneString escapes a string for a zone file: quotes and backslashes, and what is not visible as three decimal digits.
func zoneString(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Dnsmasq writes records as lines of dnsmasq.conf. It gives them no time to live of their own: that is local-ttl, which the
// first line, a comment, asks for. It answers for a CNAME only when it also knows what that leads to.
func Dnsmasq(records []Record) string {
	var b strings.Builder
	b.WriteString("# set local-ttl, say to 3600: with dnsmasq's own 0, peers look up the key for every message\n")
	for _, r := range records {
		name := strings.TrimSuffix(r.Name, ".")
		if r.SRV != nil {
			fmt.Fprintf(&b, "srv-host=%s,%s,%d,%d,%d\n", name, strings.TrimSuffix(r.SRV.Target, "."), r.SRV.Port, r.SRV.Priority, r.SRV.Weight)
			continue
		}
		if r.Target != "" {
			fmt.Fprintf(&b, "cname=%s,%s\n", name, strings.TrimSuffix(r.Target, "."))
			continue
		}
		b.WriteString("txt-record=" + name)
		for _, s := range r.Text {
			b.WriteString(`,"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
