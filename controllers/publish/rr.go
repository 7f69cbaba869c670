package publish

import (
	"fmt"

	"github.com/miekg/dns"

	"github.com/calfed/calfed/controllers/records"
)

// toRR is a record in the form of package dns. It goes by the zone file form, so that what is published is what is printed.
func toRR(r records.Record) (dns.RR, error) {
	rr, err := dns.NewRR(records.BIND([]records.Record{r}))
	if err != nil || rr == nil {
		return nil, fmt.Errorf("%s record at %s cannot be written: %w", r.Type, r.Name, err)
	}
	rr.Header().Name = dns.CanonicalName(rr.Header().Name)
	return rr, nil
}
