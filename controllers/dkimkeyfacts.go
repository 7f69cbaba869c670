package controllers

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/snapshot"
)

// facts gathers what the life of a key is decided on. The Secrets, which are those of the key, must not be changed.
func (r *dkimKeys) facts(ctx context.Context, key *v1alpha1.DKIMKey) (keylife.Facts, []corev1.Secret, error) {
	f := keylife.Facts{Key: key, Now: r.Clock.Now(), Seen: r.sightings.get(client.ObjectKeyFromObject(key)), Pods: map[string]keylife.Pods{}}
	secrets, err := r.secretsOf(ctx, key.Namespace, key.Name)
	if err != nil {
		return f, nil, err
	}
	secrets = slices.DeleteFunc(secrets, func(s corev1.Secret) bool { return !keylife.Belongs(key, &s) })
	f.Keys = keylife.Of(key, secrets)
	if f.Taken, err = r.taken(ctx, key, secrets); err != nil {
		return f, nil, err
	}
	domains, err := r.domainsOf(ctx, key)
	if err != nil {
		return f, nil, err
	}
	for i := range domains {
		if s := domains[i].Spec.Signing; s != nil && s.SignatureLifetime != nil {
			f.Lifetime = max(f.Lifetime, s.SignatureLifetime.Duration)
		}
	}
	for _, k := range f.Keys {
		if pods, known := r.pods(key, k.Selector, domains); known {
			f.Pods[k.Selector] = pods
		}
	}
	return f, secrets, nil
}

// secretsOf are the Secrets that name a DKIMKey.
func (r *dkimKeys) secretsOf(ctx context.Context, namespace, name string) ([]corev1.Secret, error) {
	var list corev1.SecretList
	err := r.owned.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{fieldKey: name}, client.UnsafeDisableDeepCopy)
	return list.Items, err
}

// taken are the selectors of the domain that stand for other keys: of other DKIMKeys, and those of this one that status remembers, or
// that are on a Secret which cannot be read.
func (r *dkimKeys) taken(ctx context.Context, key *v1alpha1.DKIMKey, secrets []corev1.Secret) ([]string, error) {
	var out []string
	for _, k := range key.Status.Keys {
		out = append(out, k.Selector)
	}
	selectors := func(secrets []corev1.Secret) {
		for i := range secrets {
			if s := secrets[i].Annotations[keylife.AnnotationSelector]; s != "" {
				out = append(out, s)
			}
		}
	}
	selectors(secrets)
	var others v1alpha1.DKIMKeyList
	if err := r.client.List(ctx, &others, client.InNamespace(key.Namespace), client.MatchingFields{fieldName: string(key.Spec.Domain)}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	for i := range others.Items {
		other := &others.Items[i]
		if other.UID == key.UID {
			continue
		}
		if source := other.Spec.Source.Imported; source != nil {
			out = append(out, string(source.Selector))
		}
		for _, k := range other.Status.Keys {
			out = append(out, k.Selector)
		}
		theirs, err := r.secretsOf(ctx, other.Namespace, other.Name)
		if err != nil {
			return nil, err
		}
		selectors(theirs)
	}
	return out, nil
}

// domainsOf are the FederatedDomains whose pods may sign with the key: those that name it, those of which compiling said so last,
// and those of the same domain, which may have named it before.
func (r *dkimKeys) domainsOf(ctx context.Context, key *v1alpha1.DKIMKey) ([]v1alpha1.FederatedDomain, error) {
	var out []v1alpha1.FederatedDomain
	for _, field := range []client.MatchingFields{{fieldKeys: key.Name}, {fieldName: string(key.Spec.Domain)}} {
		var list v1alpha1.FederatedDomainList
		if err := r.client.List(ctx, &list, client.InNamespace(key.Namespace), field, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		out = append(out, list.Items...)
	}
	post, _ := r.board.Keys.Get(client.ObjectKeyFromObject(key))
	for _, name := range post.Domains {
		var d v1alpha1.FederatedDomain
		if err := r.client.Get(ctx, name, &d); err == nil {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.FederatedDomain) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b v1alpha1.FederatedDomain) bool { return a.Name == b.Name }), nil
}

// pods says whether a gateway pod may sign with a selector; false when that is not known yet.
func (r *dkimKeys) pods(key *v1alpha1.DKIMKey, selector string, domains []v1alpha1.FederatedDomain) (keylife.Pods, bool) {
	source := types.NamespacedName{Namespace: key.Namespace, Name: key.Name}.String()
	for i := range domains {
		d := &domains[i]
		post, posted := r.board.Domains.Get(client.ObjectKeyFromObject(d))
		if !posted {
			return keylife.Pods{}, false
		}
		blocking := func(why string) (keylife.Pods, bool) {
			return keylife.Pods{Blocking: "FederatedDomain " + d.Name + ": " + why}, true
		}
		switch {
		case post.Compiled == nil:
			return blocking("it is left out, and pods may serve what they had: see its conditions")
		case slices.ContainsFunc(post.Compiled.Signing.Keys, func(k snapshot.Key) bool {
			return k.Source == source && k.Selector == selector && k.Signs()
		}), !post.Written:
			return blocking("the snapshot without the key is not written yet")
		case len(post.Blocking) > 0:
			return blocking("pod " + post.Blocking[0])
		case !post.Programmed:
			return blocking("no gateway pod has answered yet")
		}
	}
	return keylife.Pods{Quiet: true}, true
}

// served says whether every pod serves the record of a selector, at /.well-known/domainkey.
func (r *dkimKeys) served(selector string, domains []v1alpha1.FederatedDomain) (bool, string) {
	for i := range domains {
		d := &domains[i]
		post, posted := r.board.Domains.Get(client.ObjectKeyFromObject(d))
		if !posted || !post.Programmed || post.Compiled == nil ||
			!slices.ContainsFunc(post.Compiled.Signing.Keys, func(k snapshot.Key) bool { return k.Selector == selector }) {
			return false, "FederatedDomain " + d.Name + ": its gateway pods do not serve the key at /.well-known/domainkey yet"
		}
	}
	return true, ""
}
