package records

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Challenge is the TXT record by which a domain's owner lets a namespace have the domain at a gateway; gatewayID is namespace/name.
// The token is no secret, and another one for every claimant and gateway: what one was given proves nothing for another. It is the
// lower-case base32 form, without padding, of the SHA-256 over the four parts, a NUL between them. name has no trailing dot.
func Challenge(host, gatewayID, namespace, domain string) (name, value string) {
	sum := sha256.Sum256([]byte(strings.Join([]string{host, gatewayID, namespace, domain}, "\x00")))
	token := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
	return "_calfed-challenge." + domain, "calfed-domain-verification=" + token
}
