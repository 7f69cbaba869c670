package compile

import (
	"crypto/rsa"
	"slices"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/snapshot"
)

// warnOfProfile says at a policy that its peers will refuse what a domain signs: DAViCal knows RSA alone, and no key whose
// record is for iSchedule alone.
func (c *compiler) warnOfProfile(p *policy, d *snapshot.Domain) {
	signs := func(k snapshot.Key) bool { return k.Signs() }
	if p.compiled.Outbound.SignatureProfile == snapshot.SignatureDAViCal && slices.ContainsFunc(d.Signing.Keys, signs) && !signsForDAViCal(d.Signing.Keys) {
		c.report.at(p.meta, "spec.outbound.signatureProfile").warn(v1alpha1.ReasonNoKey,
			"DAViCal refuses the signatures of %s: give it an RSA key of serviceType Any as the first RSA key of spec.signing.keys", d.Name)
	}
}

// signsForDAViCal says whether DAViCal verifies what the keys sign; of several the first RSA key signs.
func signsForDAViCal(keys []snapshot.Key) bool {
	for i := range keys {
		k := &keys[i]
		if !k.Signs() {
			continue
		}
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
