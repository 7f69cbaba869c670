package compile

import (
	"crypto/rsa"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// warnOfProfiles says at a policy that its peers will refuse what a domain signs: DAViCal knows RSA alone, and no key whose
// record is for iSchedule alone.
func (c *compiler) warnOfProfiles(policies []policy, domains []snapshot.Domain) {
	for i := range policies {
		p := &policies[i]
		if p.compiled.Outbound.SignatureProfile != snapshot.SignatureDAViCal {
			continue
		}
		at := c.report.at(p.meta, "spec.outbound.signatureProfile")
		for j := range domains {
			d := &domains[j]
			if len(d.Signing.Keys) > 0 && p.compiled.Coverage(d.Name) >= 0 && !signsForDAViCal(d.Signing.Keys) {
				at.warn(v1alpha1.ReasonNoKey, "DAViCal refuses the signatures of %s: give it an RSA key of serviceType Any as the first RSA key of spec.signing.keys", d.Name)
			}
		}
	}
}

// signsForDAViCal says whether DAViCal verifies what the keys sign; of several the first RSA key signs.
func signsForDAViCal(keys []snapshot.Key) bool {
	for _, k := range keys {
		record, err := dkim.ParseRecord(k.Record)
		if err != nil {
			continue
		}
		if _, isRSA := record.Public.(*rsa.PublicKey); isRSA {
			return record.Services == nil || slices.Contains(record.Services, "*")
		}
	}
	return false
}
