package controllers

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
)

// do makes the one write of a step; none, when another key of the namespace is being made. Who wants thousands of large keys keeps
// one worker busy, not all of them.
func (r *dkimKeys) do(ctx context.Context, key *v1alpha1.DKIMKey, step keylife.Step, secrets []corev1.Secret) error {
	name := client.ObjectKeyFromObject(key)
	if step.Do == keylife.Make {
		if _, busy := r.makers.LoadOrStore(key.Namespace, true); busy {
			return nil
		}
		defer r.makers.Delete(key.Namespace)
		private, err := r.makePrivate(ctx, step.Key.Algorithm)
		if err != nil {
			return err
		}
		made := keylife.NewSecret(key, step.Key, private)
		if err := r.client.Create(ctx, made, client.FieldOwner(fieldOwner)); err != nil {
			return err
		}
		r.sightings.drop(name, step.Key.Selector)
		r.made.Store(name, step.Key.Secret)
		r.tell(key, made, "KeyMade", "Make", step)
		return nil
	}
	i := slices.IndexFunc(secrets, func(s corev1.Secret) bool { return s.Name == step.Key.Secret })
	before := &secrets[i] // of the cache
	if step.Do == keylife.Delete {
		version := before.ResourceVersion
		err := r.client.Delete(ctx, before.DeepCopy(), client.Preconditions{UID: &before.UID, ResourceVersion: &version})
		return client.IgnoreNotFound(err)
	}
	after := before.DeepCopy()
	keylife.Write(step.Key, after)
	if err := r.patch(ctx, before, after); err != nil {
		return err
	}
	if step.Key.State != step.Key.Written {
		r.tell(key, after, "Key"+string(step.Key.State), "Move", step)
	}
	return nil
}

// patch writes what is new about a Secret, unless somebody wrote it since it was read.
func (r *dkimKeys) patch(ctx context.Context, before, after *corev1.Secret) error {
	return r.client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(fieldOwner))
}

// tell names the Secret of the key, without which Events about two keys would be taken for one that comes again.
func (r *dkimKeys) tell(key *v1alpha1.DKIMKey, secret *corev1.Secret, reason, action string, step keylife.Step) {
	r.events.Eventf(key, secret, corev1.EventTypeNormal, reason, action, "selector %s: %s", step.Key.Selector, step.Why)
}

// adopt makes the DKIMKey the owner of a Secret that has none, as a restore from a backup leaves it.
func (r *dkimKeys) adopt(ctx context.Context, key *v1alpha1.DKIMKey, secrets []corev1.Secret) (bool, error) {
	for i := range secrets {
		if after := secrets[i].DeepCopy(); keylife.Adopt(key, after) {
			return true, r.patch(ctx, &secrets[i], after)
		}
	}
	return false, nil
}

// awaitsMade says whether the cache has still to learn of the Secret that was made last: before that, another key would be made.
func (r *dkimKeys) awaitsMade(ctx context.Context, name types.NamespacedName, secrets []corev1.Secret) (bool, error) {
	made, ok := r.made.Load(name)
	if !ok {
		return false, nil
	}
	secret := made.(string)
	if !slices.ContainsFunc(secrets, func(s corev1.Secret) bool { return s.Name == secret }) {
		err := r.client.Get(ctx, types.NamespacedName{Namespace: name.Namespace, Name: secret}, new(corev1.Secret))
		if err == nil || !apierrors.IsNotFound(err) {
			return true, err
		}
	}
	r.made.Delete(name)
	return false, nil
}

// exists says what to do about a Secret that is there already: one that was made for the key and is not in the cache yet is waited
// for; the next selector has another name.
func (r *dkimKeys) exists(ctx context.Context, key *v1alpha1.DKIMKey, secret string) error {
	var there corev1.Secret
	err := r.client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: secret}, &there)
	if err == nil && keylife.Belongs(key, &there) {
		r.made.Store(client.ObjectKeyFromObject(key), secret)
	}
	return client.IgnoreNotFound(err)
}

// conflict says what keeps a key from its two selectors: a Secret with the name of one that was not made for it; "" = nothing.
func (r *dkimKeys) conflict(ctx context.Context, key *v1alpha1.DKIMKey) (string, error) {
	for _, selector := range keylife.Alternating(key.Spec.Source.Generated) {
		name := keylife.SecretName(string(key.Spec.Domain), selector)
		there := metadata(secretKind)
		err := r.client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: name}, there)
		if client.IgnoreNotFound(err) != nil {
			return "", err
		}
		if err != nil || keylife.Belongs(key, there) {
			continue
		}
		if other := there.GetAnnotations()[keylife.AnnotationKeyName]; other != "" && other != key.Name {
			return "DKIMKey " + key.Namespace + "/" + other + " has selector " + selector + " of " + string(key.Spec.Domain) + ": choose another spec.source.generated.selectorPrefix", nil
		}
		return "Secret " + name + " is in the way, which was not made for this DKIMKey: delete it, or choose another spec.source.generated.selectorPrefix", nil
	}
	return "", nil
}

// makePrivate makes a private key, in PKCS #8 and PEM.
func (r *dkimKeys) makePrivate(ctx context.Context, algorithm v1alpha1.KeyAlgorithm) ([]byte, error) {
	select {
	case r.making <- struct{}{}:
		defer func() { <-r.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var private crypto.PrivateKey
	var err error
	switch algorithm {
	case v1alpha1.AlgorithmRSA2048:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case v1alpha1.AlgorithmRSA3072:
		private, err = rsa.GenerateKey(rand.Reader, 3072)
	case v1alpha1.AlgorithmRSA4096:
		private, err = rsa.GenerateKey(rand.Reader, 4096)
	case v1alpha1.AlgorithmEd25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("algorithm %q is none", algorithm)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
