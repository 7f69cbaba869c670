package controllers

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/snapshot"
)

// partInput is what compiling a part looks at.
type partInput struct {
	compile.Input
	number int
	refs   []reference
}

// gather finds the objects of all dirty parts. Those without domains that had some come without.
func (r *snapshots) gather(ctx context.Context, st *gatewayState, d dirt) ([]*partInput, error) {
	var inputs []*partInput
	var refs []reference
	for number := range snapshot.Shards {
		if !d.has(number) {
			continue
		}
		in, err := r.gatherPart(ctx, st, number)
		if err != nil {
			return nil, err
		}
		if in != nil {
			inputs, refs = append(inputs, in), append(refs, in.refs...)
		}
	}
	objects, err := r.secrets.all(ctx, refs)
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		in.content(objects)
		in.refs = nil
	}
	return inputs, nil
}

func (in *partInput) content(objects map[reference]client.Object) {
	addContent(&in.Input, in.refs, objects)
}

func addContent(in *compile.Input, refs []reference, objects map[reference]client.Object) {
	seen := map[reference]bool{}
	for _, ref := range refs {
		if seen[ref] {
			continue
		}
		seen[ref] = true
		switch o := objects[ref].(type) {
		case *corev1.Secret:
			in.Secrets = append(in.Secrets, *o)
		case *corev1.ConfigMap:
			in.ConfigMaps = append(in.ConfigMaps, *o)
		}
	}
}

// fill reads what refs lead to.
func (r *snapshots) fill(ctx context.Context, in *compile.Input, refs []reference) error {
	objects, err := r.secrets.all(ctx, refs)
	if err != nil {
		return err
	}
	addContent(in, refs, objects)
	return nil
}

// gatherPart returns nil for a part that has no domains and had none.
func (r *snapshots) gatherPart(ctx context.Context, st *gatewayState, number int) (*partInput, error) {
	in := &partInput{number: number}
	in.Serving = st.stored.serving(number)
	names, mine := map[string]bool{}, 0
	all := r.domains(ctx, client.MatchingFields{fieldShard: strconv.Itoa(number)})
	for i := range all {
		if gatewayOf(&all[i]) == st.name {
			names[string(all[i].Spec.Domain)] = true
			mine++
		}
	}
	if mine == 0 && st.parts[number] == nil && st.stored.shards[number] == nil {
		return nil, ctx.Err()
	}
	for i := range all {
		if names[string(all[i].Spec.Domain)] {
			in.Domains = append(in.Domains, all[i])
		}
	}
	r.gatherNeeded(ctx, st.name, in)
	return in, ctx.Err()
}

// gatherNeeded adds the keys and policies of the gateway's domains, and the references of all of them.
func (r *snapshots) gatherNeeded(ctx context.Context, gateway types.NamespacedName, in *partInput) {
	type named struct{ namespace, name string }
	keys, keyDomains, patterns := map[named]bool{}, map[named]bool{}, map[named]bool{}
	policies := map[types.NamespacedName]bool{}
	for i := range in.Domains {
		d := &in.Domains[i]
		if gatewayOf(d) != gateway {
			continue
		}
		in.refs = append(in.refs, references(d)...)
		for _, key := range keysOf(d) {
			if keys[named{d.Namespace, key}] {
				continue
			}
			keys[named{d.Namespace, key}] = true
			var k v1alpha1.DKIMKey
			if r.cache.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: key}, &k, client.UnsafeDisableDeepCopy) == nil {
				keyDomains[named{d.Namespace, string(k.Spec.Domain)}] = true
			}
		}
		for _, pattern := range matching(string(d.Spec.Domain)) {
			if patterns[named{d.Namespace, pattern}] {
				continue
			}
			patterns[named{d.Namespace, pattern}] = true
			var list v1alpha1.PeerPolicyList
			r.list(ctx, &list, client.InNamespace(d.Namespace), client.MatchingFields{fieldPatterns: pattern})
			for j := range list.Items {
				p := &list.Items[j]
				if id := client.ObjectKeyFromObject(p); !policies[id] {
					policies[id] = true
					in.Policies = append(in.Policies, *p)
					in.refs = append(in.refs, references(p)...)
				}
			}
		}
	}
	for of := range keyDomains { // rivals for a selector are among them
		var list v1alpha1.DKIMKeyList
		r.list(ctx, &list, client.InNamespace(of.namespace), client.MatchingFields{fieldName: of.name})
		for i := range list.Items {
			k := &list.Items[i]
			in.Keys = append(in.Keys, *k)
			in.refs = append(in.refs, references(k)...)
			in.Secrets = append(in.Secrets, r.generated(ctx, k)...)
		}
	}
}

// generated are the Secrets of a generated key.
func (r *snapshots) generated(ctx context.Context, k *v1alpha1.DKIMKey) []corev1.Secret {
	if k.Spec.Source.Generated == nil {
		return nil
	}
	var list corev1.SecretList
	err := r.owned.List(ctx, &list, client.InNamespace(k.Namespace), client.MatchingFields{fieldKey: k.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		r.Log.Error("the cache of Secrets of ours cannot be read", "error", err)
	}
	return list.Items
}

// indexOwned has the cache of Secrets of ours find those of a DKIMKey.
func indexOwned(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, &corev1.Secret{}, fieldKey, of(func(s *corev1.Secret) []string {
		if s.Labels[keylife.LabelOwned] != keylife.OwnedKey {
			return nil
		}
		return []string{s.Annotations[keylife.AnnotationKeyName]}
	}))
}
