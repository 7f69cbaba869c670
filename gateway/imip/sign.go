package imip

import (
	"bytes"
	"crypto"

	"github.com/emersion/go-message/textproto"
	"github.com/emersion/go-msgauth/dkim"
)

// signedFields are those of RFC 6376 §5.4.1 that a mail of ours has. From is named once more than it stands there: a second one
// breaks the signature.
var signedFields = []string{
	"From", "From", "To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

// Sign puts a DKIM-Signature for mail (RFC 6376, relaxed/relaxed; rsa-sha256 or ed25519-sha256 by the key) in front. It never
// expires: mail may wait for days, and is as true then.
func Sign(mail []byte, domain, selector string, key crypto.Signer) ([]byte, error) {
	h, _, _, err := splitHeader(mail, mailLines)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = dkim.Sign(&out, bytes.NewReader(mail), &dkim.SignOptions{
		Domain: domain, Selector: selector, Signer: key, HeaderKeys: present(&h),
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func present(h *textproto.Header) []string {
	var keys []string
	for _, f := range signedFields {
		if h.Has(f) {
			keys = append(keys, f)
		}
	}
	return keys
}
