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

// do makes the one write of a step.
func (r *dkimKeys) do(ctx context.Context, key *v1alpha1.DKIMKey, step keylife.Step, secrets []corev1.Secret) error {
	name := client.ObjectKeyFromObject(key)
	if step.Do == keylife.Make {
		private, err := r.makePrivate(ctx, step.Key.Algorithm)
		if err != nil {
			return err
		}
		r.sightings.drop(name, step.Key.Selector)
		if err := r.client.Create(ctx, keylife.NewSecret(key, step.Key, private), client.FieldOwner(fieldOwner)); err != nil {
			return err
		}
		r.made.Store(name, step.Key.Secret)
		r.tell(key, "KeyMade", "Make", step)
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
		r.tell(key, "Key"+string(step.Key.State), "Move", step)
	}
	return nil
}

// patch writes what is new about a Secret, unless somebody wrote it since it was read.
func (r *dkimKeys) patch(ctx context.Context, before, after *corev1.Secret) error {
	return r.client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(fieldOwner))
}

func (r *dkimKeys) tell(key *v1alpha1.DKIMKey, reason, action string, step keylife.Step) {
	r.events.Eventf(key, nil, corev1.EventTypeNormal, reason, action, "selector %s: %s", step.Key.Selector, step.Why)
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

// refused says what to do about a write that failed: a conflict is read anew, and a selector that another DKIMKey has is
// said.
func (r *dkimKeys) refused(ctx context.Context, key *v1alpha1.DKIMKey, f keylife.Facts, step keylife.Step, err error) error {
	if step.Do != keylife.Make || !apierrors.IsAlreadyExists(err) {
		return quiet(err)
	}
	var there corev1.Secret
	if err := r.client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: step.Key.Secret}, &there); err != nil {
		return client.IgnoreNotFound(err)
	}
	if keylife.Belongs(key, &there) {
		r.made.Store(client.ObjectKeyFromObject(key), there.Name)
		return nil
	}
	want := r.generatedStatus(key, f, step)
	message := "Secret " + there.Name + " is in the way, which was not made for this DKIMKey: delete it, or choose another spec.source.generated.selectorPrefix"
	if other := there.Annotations[keylife.AnnotationKeyName]; other != "" && other != key.Name {
		message = "DKIMKey " + key.Namespace + "/" + other + " has selector " + step.Key.Selector + " of " + string(key.Spec.Domain) + ": choose another spec.source.generated.selectorPrefix"
	}
	r.stall(key, &want, v1alpha1.ReasonConflict, message)
	return quiet(r.writeKeyStatus(ctx, key, want))
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
