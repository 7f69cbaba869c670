package controllers

import (
	"cmp"
	"context"
	"crypto"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/probe"
)

// look looks at the records of a key that are due, and notes what it saw. It says whether nothing is under way.
func (r *dkimKeys) look(ctx context.Context, name types.NamespacedName) bool {
	var key v1alpha1.DKIMKey
	if err := r.client.Get(ctx, name, &key); err != nil || !key.DeletionTimestamp.IsZero() || key.Spec.Source.Generated == nil {
		return true
	}
	f, _, err := r.facts(ctx, &key)
	if err != nil {
		return false
	}
	domains, err := r.domainsOf(ctx, &key)
	if err != nil {
		return false
	}
	settled := true
	looks := map[string]keylife.Sighting{}
	for _, l := range keylife.Next(f).Look {
		settled = settled && !l.Urgent
		if l.Urgent && l.At.After(f.Now) {
			continue
		}
		s := r.see(ctx, &key, l.Key, domains)
		if ctx.Err() != nil {
			return false
		}
		before := f.Seen[l.Key.Selector]
		if s.absent {
			s.Absent(l.Key, before)
		}
		looks[l.Key.Selector] = s.Sighting
	}
	if len(looks) > 0 {
		r.sightings.set(name, key.UID, looks)
	}
	return settled
}

// keySight is a Sighting under way.
type keySight struct {
	keylife.Sighting
	absent bool // no server has anything there
}

// problem notes the first thing that is not as it should be. certain says that the record is not there, rather than that nobody knows.
func (s *keySight) problem(certain bool, text string) {
	s.Here = false
	s.Missing = s.Missing || certain
	s.Problem = cmp.Or(s.Problem, clip(text))
}

// see looks at the record of one key by every method by which receivers shall find it.
func (r *dkimKeys) see(ctx context.Context, key *v1alpha1.DKIMKey, k keylife.Key, domains []v1alpha1.FederatedDomain) keySight {
	s := keySight{Sighting: keylife.Sighting{At: r.Clock.Now(), Here: true}}
	want, err := recordOf(key, k)
	if err != nil {
		s.problem(false, "its private key cannot be read: "+err.Error())
		return s
	}
	methods := lookupMethods(key.Name, domains)
	if want == "" || slices.Contains(methods, v1alpha1.LookupDNS) {
		r.seeTXT(ctx, k.Selector+"._domainkey."+string(key.Spec.Domain), want, &s)
	}
	if want != "" && slices.Contains(methods, v1alpha1.LookupWellKnown) && s.Here {
		r.seeWellKnown(ctx, key, k.Selector, want, domains, &s)
	}
	return s
}

// lookupMethods are the methods of all domains that use the key; without any, the one that needs no gateway.
func lookupMethods(key string, domains []v1alpha1.FederatedDomain) []v1alpha1.KeyLookupMethod {
	var out []v1alpha1.KeyLookupMethod
	for i := range domains {
		if !slices.Contains(keysOf(&domains[i]), key) {
			continue
		}
		lookup := domains[i].Spec.Signing.Lookup
		if len(lookup) == 0 {
			lookup = []v1alpha1.KeyLookupMethod{v1alpha1.LookupDNS, v1alpha1.LookupWellKnown}
		}
		out = append(out, lookup...)
	}
	if out == nil {
		out = []v1alpha1.KeyLookupMethod{v1alpha1.LookupDNS}
	}
	return out
}

// ask asks the authoritative servers of a name, in its turn; nil when that could not be done, which is noted.
func (r *dkimKeys) ask(ctx context.Context, name, rrtype string, s *keySight) *probe.Answers {
	if r.pace.Wait(ctx, 1) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	answers, err := r.Authority.Lookup(ctx, name, rrtype)
	if err != nil {
		s.problem(false, "the name servers of "+name+" cannot be asked: "+err.Error())
		return nil
	}
	s.NegativeTTL = max(s.NegativeTTL, answers.NegativeTTL)
	if len(answers.Servers) == 0 {
		s.problem(false, name+" has no name servers")
		return nil
	}
	return answers
}

// seeTXT looks for the TXT record; want is "" where there shall be none.
func (r *dkimKeys) seeTXT(ctx context.Context, name, want string, s *keySight) {
	answers := r.ask(ctx, name, "TXT", s)
	if answers == nil {
		return
	}
	s.absent = true
	for _, server := range answers.Servers {
		at := nameServer(server)
		s.TTL = max(s.TTL, server.TTL)
		s.absent = s.absent && server.Err == nil && len(server.Data) == 0
		switch {
		case server.Err != nil:
			s.problem(false, at+" "+strings.TrimPrefix(server.Err.Error(), at+" "))
		case want == "" && len(server.Data) > 0:
			s.problem(true, at+" has a TXT record at "+cmp.Or(plainName(server.Name), name)+", which is to be withdrawn")
		case want == "":
		case len(server.Data) == 0:
			s.problem(true, at+" has no TXT record at "+cmp.Or(plainName(server.Name), name))
		case slices.ContainsFunc(server.Data, func(got string) bool { return !sameRecord(want, got) }):
			s.problem(true, at+" has another TXT record at "+cmp.Or(plainName(server.Name), name)+" than status.keys shows: replace it")
		}
	}
	s.Here = s.Here && want != ""
}

// seeWellKnown looks for the key where http/well-known leads to. Resolvers are asked last, once there is something for them to
// remember. IS-DKIM-11.
func (r *dkimKeys) seeWellKnown(ctx context.Context, key *v1alpha1.DKIMKey, selector, want string, domains []v1alpha1.FederatedDomain, s *keySight) {
	using := slices.DeleteFunc(slices.Clone(domains), func(d v1alpha1.FederatedDomain) bool { return !slices.Contains(keysOf(&d), key.Name) })
	if all, problem := r.served(selector, using); !all {
		s.problem(true, problem)
		return
	}
	name := "_domainkey_lookup._tcp." + string(key.Spec.Domain)
	answers := r.ask(ctx, name, "SRV", s)
	if answers == nil {
		return
	}
	for _, server := range answers.Servers {
		switch at := nameServer(server); {
		case server.Err != nil:
			s.problem(false, at+" "+server.Err.Error())
		case len(server.Data) == 0:
			s.problem(true, at+" has no SRV record at "+name)
		}
	}
	if !s.Here || r.pace.Wait(ctx, probeCost) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	report := r.Prober.Probe(ctx, probe.Target{Keys: []probe.Key{{
		Domain: string(key.Spec.Domain), Selector: selector, Record: want, Methods: []string{dkim.MethodWellKnown},
	}}})
	for _, step := range report.Steps {
		if step.Verdict == probe.Failed {
			s.problem(false, step.Name+": "+cmp.Or(step.Cause, step.Seen))
		}
	}
}

// nameServer is how a server is called.
func nameServer(s probe.ServerAnswer) string {
	name := plainName(s.Server)
	switch {
	case s.Addr == netip.AddrPort{}:
		return "name server " + name
	case s.Addr.Port() == 53:
		return "name server " + name + " (" + s.Addr.Addr().String() + ")"
	default:
		return "name server " + name + " (" + s.Addr.String() + ")"
	}
}

// recordOf is what shall be published of a key; "" for one that is gone.
func recordOf(key *v1alpha1.DKIMKey, k keylife.Key) (string, error) {
	if len(k.Private) == 0 {
		return "", nil
	}
	signer, err := dkim.ParsePrivateKey(k.Private)
	if err != nil {
		return "", err
	}
	return dkim.FormatRecord(signer.Public(), key.Spec.ServiceType == v1alpha1.ServiceISchedule)
}

// sameRecord says whether receivers find the wanted key in a record, however it is written.
func sameRecord(want, got string) bool {
	if want == got {
		return true
	}
	w, err := dkim.ParseRecord(want)
	if err != nil {
		return false
	}
	g, err := dkim.ParseRecord(got)
	if err != nil || g.Testing || g.Strict || g.Public == nil {
		return false
	}
	public, ok := w.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(g.Public) && (g.Services == nil || slices.Equal(w.Services, g.Services) || slices.Contains(g.Services, "*"))
}
