// Package tenanttest makes the tenants of a calendar provider, for measurements at size.
package tenanttest

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

const (
	perNamespace = 10 // domains of a tenant
	atOnce       = 16 // tenants being made
)

// Provider is a calendar provider: one gateway, and tenants of ten domains each in namespaces of their own.
type Provider struct {
	Gateway  client.ObjectKey // a FederationGateway that allows domains of all namespaces, and all their back ends
	Domains  int              // FederatedDomains dN, domain dN.example.org, each with an imported Ed25519 key
	Policies int              // PeerPolicies, spread over the tenants
}

// Namespace is that of the tenant to whom a domain belongs; domains count from 0.
func Namespace(domain int) string { return fmt.Sprintf("tenant-%d", domain/perNamespace) }

// Make makes the tenants that have domains from first on. What is there already stays.
func (p Provider) Make(ctx context.Context, c client.Client, first int) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for i := first / perNamespace * perNamespace; i < p.Domains; i += perNamespace {
		work.Go(func() error { return p.tenant(ctx, c, i) })
	}
	return work.Wait()
}

func (p Provider) tenant(ctx context.Context, c client.Client, first int) error {
	ns := Namespace(first)
	if err := create(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}); err != nil {
		return err
	}
	for i := first; i < min(first+perNamespace, p.Domains); i++ {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return err
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("d%d", i)
		at := metav1.ObjectMeta{Namespace: ns, Name: name}
		domain := v1alpha1.DomainName(name + ".example.org")
		err = create(ctx, c,
			&corev1.Secret{ObjectMeta: at, Data: map[string][]byte{"private.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}},
			&v1alpha1.DKIMKey{ObjectMeta: at, Spec: v1alpha1.DKIMKeySpec{Domain: domain, Source: v1alpha1.KeySource{
				Type: v1alpha1.KeyImported, Imported: &v1alpha1.ImportedKey{Selector: "cal", SecretRef: v1alpha1.SecretKeyRef{Name: name, Key: "private.key"}},
			}}},
			&v1alpha1.FederatedDomain{ObjectMeta: at, Spec: v1alpha1.FederatedDomainSpec{
				Domain: domain, GatewayRef: v1alpha1.GatewayRef{Name: p.Gateway.Name, Namespace: p.Gateway.Namespace},
				Signing: &v1alpha1.Signing{Keys: []v1alpha1.KeyRef{{Name: name}}},
				Backend: v1alpha1.Backend{Type: v1alpha1.BackendISchedule, ISchedule: &v1alpha1.ISchedule{URL: v1alpha1.BackendURL("https://" + name + ".calendars.example.net/ischedule")}},
			}},
		)
		if err != nil {
			return err
		}
	}
	for i := range (first+perNamespace)*p.Policies/p.Domains - first*p.Policies/p.Domains {
		err := create(ctx, c, &v1alpha1.PeerPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("p%d", i)}, Spec: v1alpha1.PeerPolicySpec{
			Peers: []v1alpha1.DomainPattern{v1alpha1.DomainPattern(fmt.Sprintf("partner-%d.example", i))}, Action: v1alpha1.ActionAllow,
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

func create(ctx context.Context, c client.Client, objects ...client.Object) error {
	for _, o := range objects {
		if err := client.IgnoreAlreadyExists(c.Create(ctx, o)); err != nil {
			return err
		}
	}
	return nil
}

// Programmed says whether all FederatedDomains of a cluster are. It lists them only as far as they are: all of them again and again
// would be work for the API server.
func Programmed(ctx context.Context, c client.Client) (bool, error) {
	var list v1alpha1.FederatedDomainList
	for more := true; more; more = list.Continue != "" {
		if err := c.List(ctx, &list, client.Limit(100), client.Continue(list.Continue)); err != nil {
			return false, err
		}
		if slices.ContainsFunc(list.Items, func(d v1alpha1.FederatedDomain) bool {
			return !meta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionProgrammed)
		}) {
			return false, nil
		}
	}
	return true, nil
}
