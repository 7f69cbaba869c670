package admintest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/calfed/calfed/api/v1alpha1"
)

// Set writes one record, in place of those that have its name and type. TXT data are one text, in quotes or not.
func (a *Admin) Set(t testing.TB, name, rrtype, data string) {
	t.Helper()
	if rrtype == "TXT" {
		data = strings.Trim(data, `"`)
		var quoted []string
		for len(data) > 255 {
			quoted, data = append(quoted, `"`+data[:255]+`"`), data[255:]
		}
		data = strings.Join(append(quoted, `"`+data+`"`), " ")
	}
	a.DNS.Set(t, fmt.Sprintf("%s. 1 IN %s %s\n", strings.TrimSuffix(name, "."), rrtype, data))
}

// AsTold sets the records that status shows to those who publish by hand, and proofs of ownership. What has records stays as it is.
func (a *Admin) AsTold(ctx context.Context, t testing.TB) {
	t.Helper()
	var list v1alpha1.FederatedDomainList
	if a.Client.List(ctx, &list) != nil {
		return // who waits calls again
	}
	for _, d := range list.Items {
		if o := d.Status.Ownership; o != nil && len(a.DNS.Records(o.Name, "TXT")) == 0 {
			a.Set(t, o.Name, "TXT", o.Value)
		}
		for _, r := range d.Status.Records {
			if d.Spec.Publish != nil && r.Type != "CNAME" {
				continue
			}
			if len(a.DNS.Records(r.Name, r.Type)) == 0 {
				a.Set(t, r.Name, r.Type, r.Expected)
			}
		}
	}
}
