package controllers

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Fields by which caches find objects.
const (
	fieldShard      = "calfed.shard"      // FederatedDomain: number of the shard
	fieldGateway    = "calfed.gateway"    // FederatedDomain: namespace/name of the gateway
	fieldName       = "calfed.name"       // FederatedDomain, DKIMKey: the domain
	fieldKeys       = "calfed.keys"       // FederatedDomain: names of DKIMKeys
	fieldPatterns   = "calfed.patterns"   // FederatedDomain: the patterns that match it; PeerPolicy: the patterns it has
	fieldSecrets    = "calfed.secrets"    // all four: names of Secrets
	fieldConfigMaps = "calfed.configMaps" // all four: names of ConfigMaps
	fieldKey        = "calfed.key"        // Secret of ours: name of the DKIMKey whose key it is
)

// indexFields has the manager's cache keep these.
func indexFields(ctx context.Context, indexer client.FieldIndexer) error {
	for _, x := range []struct {
		object client.Object
		field  string
		values client.IndexerFunc
	}{
		{&v1alpha1.FederatedDomain{}, fieldShard, of(func(d *v1alpha1.FederatedDomain) []string { return []string{strconv.Itoa(shardOf(d))} })},
		{&v1alpha1.FederatedDomain{}, fieldGateway, of(func(d *v1alpha1.FederatedDomain) []string { return []string{gatewayOf(d).String()} })},
		{&v1alpha1.FederatedDomain{}, fieldName, of(func(d *v1alpha1.FederatedDomain) []string { return []string{string(d.Spec.Domain)} })},
		{&v1alpha1.FederatedDomain{}, fieldKeys, of(keysOf)},
		{&v1alpha1.FederatedDomain{}, fieldPatterns, of(func(d *v1alpha1.FederatedDomain) []string { return matching(string(d.Spec.Domain)) })},
		{&v1alpha1.DKIMKey{}, fieldName, of(func(k *v1alpha1.DKIMKey) []string { return []string{string(k.Spec.Domain)} })},
		{&v1alpha1.PeerPolicy{}, fieldPatterns, of(patternsOf)},
		{&v1alpha1.FederationGateway{}, fieldSecrets, referred(secretKind)},
		{&v1alpha1.FederatedDomain{}, fieldSecrets, referred(secretKind)},
		{&v1alpha1.DKIMKey{}, fieldSecrets, referred(secretKind)},
		{&v1alpha1.PeerPolicy{}, fieldSecrets, referred(secretKind)},
		{&v1alpha1.FederationGateway{}, fieldConfigMaps, referred(configMapKind)},
		{&v1alpha1.FederatedDomain{}, fieldConfigMaps, referred(configMapKind)},
		{&v1alpha1.PeerPolicy{}, fieldConfigMaps, referred(configMapKind)},
	} {
		if err := indexer.IndexField(ctx, x.object, x.field, x.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", x.object, x.field, err)
		}
	}
	return nil
}

func of[T client.Object](f func(T) []string) client.IndexerFunc {
	return func(o client.Object) []string { return f(o.(T)) }
}

// The kinds that references lead to.
const (
	secretKind    = string(v1alpha1.BundleSecret)
	configMapKind = string(v1alpha1.BundleConfigMap)
)

// reference leads to a Secret or ConfigMap.
type reference struct {
	kind string
	types.NamespacedName
}

func referred(kind string) client.IndexerFunc {
	return func(o client.Object) []string {
		var names []string
		for _, ref := range references(o) {
			if ref.kind == kind {
				names = append(names, ref.Name)
			}
		}
		return names
	}
}

// references are what an object refers to.
func references(o client.Object) []reference {
	r := &referrer{namespace: o.GetNamespace()}
	switch o := o.(type) {
	case *v1alpha1.FederationGateway:
		r.gateway(o.Name, &o.Spec)
	case *v1alpha1.FederatedDomain:
		r.domain(&o.Spec)
	case *v1alpha1.DKIMKey:
		if i := o.Spec.Source.Imported; i != nil {
			r.secret(i.SecretRef.Name)
		}
	case *v1alpha1.PeerPolicy:
		r.policy(&o.Spec)
	}
	return r.refs
}

type referrer struct {
	namespace string
	refs      []reference
}

func (r *referrer) add(kind, name string) {
	ref := reference{kind, types.NamespacedName{Namespace: r.namespace, Name: name}}
	if !slices.Contains(r.refs, ref) {
		r.refs = append(r.refs, ref)
	}
}

func (r *referrer) secret(name string) { r.add(secretKind, name) }

func (r *referrer) bundle(b *v1alpha1.BundleRef) {
	if b != nil {
		r.add(string(b.Kind), b.Name)
	}
}

func (r *referrer) gateway(name string, spec *v1alpha1.FederationGatewaySpec) {
	if spec.TLS.CertManager != nil {
		r.secret(infra.TLSSecret(name))
	}
	if spec.TLS.Secret != nil {
		r.secret(spec.TLS.Secret.Name)
	}
	if spec.Egress != nil {
		r.bundle(spec.Egress.CABundleRef)
	}
	if spec.Submission != nil {
		r.mailServer(spec.Submission.Smarthost)
	}
}

func (r *referrer) mailServer(s *v1alpha1.MailServer) {
	if s != nil && s.CredentialsRef != nil {
		r.secret(s.CredentialsRef.Name)
	}
}

func (r *referrer) backend(b *v1alpha1.Backend) {
	if b.CalDAV != nil && b.CalDAV.CredentialsRef != nil {
		r.secret(b.CalDAV.CredentialsRef.Name)
	}
	if b.IMIP != nil {
		r.mailServer(b.IMIP.Server)
	}
}

func (r *referrer) domain(spec *v1alpha1.FederatedDomainSpec) {
	r.backend(&spec.Backend)
	if spec.FreeBusyBackend != nil {
		r.backend(spec.FreeBusyBackend)
	}
	for i := range spec.Submitters {
		s := &spec.Submitters[i]
		if s.TokenRef != nil {
			r.secret(s.TokenRef.Name)
		}
		if s.BasicRef != nil {
			r.secret(s.BasicRef.Name)
		}
		if s.ClientCertificate != nil {
			r.bundle(&s.ClientCertificate.CARef)
		}
	}
	if spec.Publish != nil && spec.Publish.RFC2136 != nil {
		r.secret(spec.Publish.RFC2136.TSIG.SecretRef.Name) // not compiled, but read by whoever publishes
	}
}

func (r *referrer) policy(spec *v1alpha1.PeerPolicySpec) {
	if spec.Outbound == nil {
		return
	}
	r.bundle(spec.Outbound.CABundleRef)
	if spec.Outbound.ClientCertificateRef != nil {
		r.secret(spec.Outbound.ClientCertificateRef.Name)
	}
	if spec.Outbound.AuthorizationRef != nil {
		r.secret(spec.Outbound.AuthorizationRef.Name)
	}
}

func shardOf(d *v1alpha1.FederatedDomain) int { return snapshot.ShardOf(string(d.Spec.Domain)) }

func gatewayOf(d *v1alpha1.FederatedDomain) types.NamespacedName {
	ns := d.Spec.GatewayRef.Namespace
	if ns == "" {
		ns = d.Namespace
	}
	return types.NamespacedName{Namespace: ns, Name: d.Spec.GatewayRef.Name}
}

func keysOf(d *v1alpha1.FederatedDomain) []string {
	if d.Spec.Signing == nil {
		return nil
	}
	var names []string
	for _, k := range d.Spec.Signing.Keys {
		names = append(names, k.Name)
	}
	return names
}

// matching are the patterns that match a domain: itself, every suffix, all.
func matching(domain string) []string {
	out := []string{domain, "*"}
	for rest := domain; ; {
		_, parent, more := strings.Cut(rest, ".")
		if !more {
			return out
		}
		out, rest = append(out, "*."+parent), parent
	}
}

// patternsOf are the patterns of a policy's domains, the widest alone; one without covers all.
func patternsOf(p *v1alpha1.PeerPolicy) []string {
	if len(p.Spec.Domains) == 0 {
		return []string{"*"}
	}
	var out []string
	for _, d := range p.Spec.Domains {
		out = append(out, string(d))
	}
	return snapshot.Widest(out)
}
