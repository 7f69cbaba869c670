package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/gateway/snapshot"
)

// compile compiles the settings of a gateway, and those of its domains that are dirty.
func (r *snapshots) compile(ctx context.Context, st *gatewayState, gw *v1alpha1.FederationGateway, d dirt) error {
	start := time.Now()
	settings, err := r.compileSettings(ctx, st, gw)
	if err != nil {
		return err
	}
	spec := forDomains(gw)
	if st.settings == nil || settings.OK != st.settings.OK || !reflect.DeepEqual(withoutTLS(settings), withoutTLS(st.settings)) || !reflect.DeepEqual(spec, st.spec) {
		d.all = true
	}
	if !d.all && len(d.shards) == 0 {
		st.take(settings, gw, r.Namespaces)
		return nil
	}
	inputs, err := r.gather(ctx, st, d)
	if err != nil {
		return err
	}
	namespaces, err := r.namespaces(ctx, gw)
	if err != nil {
		return err
	}
	parts := make([]*part, len(inputs))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, in := range inputs {
		g.Go(func() error {
			if gctx.Err() != nil {
				return gctx.Err()
			}
			in.Now, in.Namespaces = r.Clock.Now(), namespaces
			var err error
			parts[i], err = compilePart(settings, st.name, in, st.stored.next())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// nothing of st was touched so far: an error leaves it whole
	st.take(settings, gw, r.Namespaces)
	for i, in := range inputs {
		r.replace(st, in.number, parts[i])
	}
	r.metrics.compile.Observe(time.Since(start).Seconds())
	return nil
}

// forDomains is what of the spec compiling domains may look at: how many pods there are, and what is around them, is not.
func forDomains(gw *v1alpha1.FederationGateway) *v1alpha1.FederationGatewaySpec {
	spec := gw.Spec.DeepCopy()
	spec.Replicas, spec.Autoscaling, spec.Exposure, spec.NetworkPolicy, spec.PodTemplate, spec.Monitoring = nil, nil, nil, nil, nil, nil
	return spec
}

// withoutTLS is what of the settings domains are compiled against: a new certificate changes no domain.
func withoutTLS(s *compile.Shared) snapshot.Gateway {
	settings := s.Settings
	settings.TLS = snapshot.KeyPair{}
	return settings
}

func (r *snapshots) compileSettings(ctx context.Context, st *gatewayState, gw *v1alpha1.FederationGateway) (*compile.Shared, error) {
	in := compile.Input{Gateway: gw, Prior: st.prior(), Now: r.Clock.Now()}
	if err := r.fill(ctx, &in, references(gw)); err != nil {
		return nil, err
	}
	return compile.CompileGateway(in), nil
}

// take keeps compiled settings.
func (st *gatewayState) take(settings *compile.Shared, gw *v1alpha1.FederationGateway, namespaces []string) {
	st.settings, st.spec = settings, forDomains(gw)
	st.capabilities = settings.Capabilities
	st.findings, st.generation = settings.Findings, gw.Generation
	if len(namespaces) > 0 {
		st.findings = compile.SortFindings(append(st.findings, namesOnly(gw)...))
	}
	public := withoutTLS(settings)
	switch {
	case !settings.OK:
		st.public = nil
	case st.public == nil || !reflect.DeepEqual(*st.public, public):
		st.public = &public
	}
}

// namesOnly says of selectors of an operator that may not read namespaces what they can select by.
func namesOnly(gw *v1alpha1.FederationGateway) []compile.Finding {
	var out []compile.Finding
	for i, a := range gw.Spec.AllowedDomains {
		if a.Selector == nil {
			continue
		}
		keys := map[string]bool{}
		for key := range a.Selector.MatchLabels {
			keys[key] = true
		}
		for _, e := range a.Selector.MatchExpressions {
			keys[e.Key] = true
		}
		delete(keys, corev1.LabelMetadataName)
		if len(keys) > 0 {
			out = append(out, compile.Finding{
				Severity: compile.Warning, Kind: v1alpha1.KindFederationGateway, Namespace: gw.Namespace, Name: gw.Name,
				Field:  fmt.Sprintf("spec.allowedDomains[%d].selector", i),
				Reason: v1alpha1.ReasonNoEffect,
				Message: "this operator watches single namespaces and cannot read their labels: select by " + corev1.LabelMetadataName +
					" only, or let the operator watch all namespaces",
			})
		}
	}
	return out
}

// namespaces are those with their labels, where somebody asks for them. An operator of single namespaces knows their names.
func (r *snapshots) namespaces(ctx context.Context, gw *v1alpha1.FederationGateway) ([]corev1.Namespace, error) {
	asked := false
	for _, a := range gw.Spec.AllowedDomains {
		asked = asked || a.Selector != nil
	}
	if !asked {
		return nil, nil
	}
	var out []corev1.Namespace
	for _, name := range r.Namespaces {
		out = append(out, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}})
	}
	if len(r.Namespaces) > 0 {
		return out, nil
	}
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := r.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	for i := range list.Items {
		out = append(out, corev1.Namespace{ObjectMeta: list.Items[i].ObjectMeta})
	}
	return out, nil
}

// compileWhole is compilePart without pressing anybody.
func compileWhole(settings *compile.Shared, gateway types.NamespacedName, in *partInput, serial uint64) (*part, error) {
	p := &part{compiled: compile.CompileDomains(settings, in.Input), excess: in.Excess}
	p.shard = snapshot.Shard{Number: in.number, Domains: p.compiled.Domains, Policies: p.compiled.Policies}
	p.domains = domainStates(gateway, in, &p.compiled)
	for i := range in.Policies {
		p.policies = append(p.policies, refTo(&in.Policies[i]))
	}
	for i := range in.Keys {
		p.seen = append(p.seen, refTo(&in.Keys[i]))
	}
	for i := range in.Domains {
		if d := &in.Domains[i]; gatewayOf(d) == gateway {
			for _, key := range keysOf(d) {
				p.used = append(p.used, types.NamespacedName{Namespace: d.Namespace, Name: key})
			}
		}
	}
	if len(p.shard.Domains) == 0 {
		return p, nil
	}
	return p, p.encode(serial)
}

func refTo(o client.Object) objectRef {
	return objectRef{client.ObjectKeyFromObject(o), o.GetUID(), o.GetGeneration()}
}

func (p *part) encode(serial uint64) error {
	p.shard.Serial = serial
	encoded, err := snapshot.EncodeShard(&p.shard)
	if errors.Is(err, snapshot.ErrTooLarge) {
		p.tooLarge, p.encoded = true, nil
		return nil
	}
	p.encoded = encoded
	return err
}

// domainStates says what became of each FederatedDomain of the gateway.
func domainStates(gateway types.NamespacedName, in *partInput, out *compile.Part) []*domainState {
	policies := hashPolicies(out.Policies)
	compiled := make(map[string]*snapshot.Domain, len(out.Domains))
	for i := range out.Domains {
		compiled[out.Domains[i].Source] = &out.Domains[i]
	}
	findings := byObject(out.Findings, v1alpha1.KindFederatedDomain)
	var states []*domainState
	for i := range in.Domains {
		d := &in.Domains[i]
		if gatewayOf(d) != gateway {
			continue
		}
		s := &domainState{name: client.ObjectKeyFromObject(d), domain: string(d.Spec.Domain), uid: d.UID, generation: d.Generation}
		id := s.name.String()
		s.findings = findings[s.name]
		s.compiled = compiled[id]
		if c, ok := out.Candidates[id]; ok {
			s.candidate = &c
		}
		if s.compiled != nil {
			s.hash = hashDomain(s.compiled, policies)
			s.programmed = told(d, s.hash)
		}
		states = append(states, s)
	}
	return states
}

// hashPolicies are the hashes of policies by ID: each is hashed once, however many domains it covers.
func hashPolicies(policies []snapshot.Policy) map[string]string {
	out := make(map[string]string, len(policies))
	for i := range policies {
		out[policies[i].ID] = snapshot.HashPolicy(&policies[i])
	}
	return out
}

func hashDomain(d *snapshot.Domain, policies map[string]string) string {
	covering := make([]string, len(d.Policies))
	for i, id := range d.Policies {
		covering[i] = policies[id]
	}
	return snapshot.HashDomain(d, covering)
}

// told says whether the status already says that every pod serves this hash: what an operator before this one saw.
func told(d *v1alpha1.FederatedDomain, hash string) bool {
	if d.Status.CompiledHash != hash {
		return false
	}
	for _, c := range d.Status.Conditions {
		if c.Type == v1alpha1.ConditionProgrammed {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

func byObject(findings []compile.Finding, kind string) map[types.NamespacedName][]compile.Finding {
	out := map[types.NamespacedName][]compile.Finding{}
	for _, f := range findings {
		if f.Kind == kind {
			name := types.NamespacedName{Namespace: f.Namespace, Name: f.Name}
			out[name] = append(out[name], f)
		}
	}
	return out
}
