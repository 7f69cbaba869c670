package controllers

import (
	"context"
	"crypto"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/dkim"
)

// imported writes the status of a key that was made elsewhere. Its Secret is read and never written. What status remembers under a
// selector is what receivers may have in their caches: another key there is refused (compile leaves it out).
func (r *dkimKeys) imported(ctx context.Context, key *v1alpha1.DKIMKey) error {
	source := key.Spec.Source.Imported
	revoked := slices.Contains(key.Spec.Revoked, source.Selector)
	want := v1alpha1.DKIMKeyStatus{
		ObservedGeneration:      key.Generation,
		RotateRequestedAt:       key.Status.RotateRequestedAt,
		ResetBackoffRequestedAt: keylife.Echo(key.Annotations[v1alpha1.AnnotationResetBackoff]),
	}
	now := v1alpha1.KeyStatus{Selector: string(source.Selector), State: v1alpha1.KeyActive, SecretName: source.SecretRef.Name}
	before := slices.IndexFunc(key.Status.Keys, func(k v1alpha1.KeyStatus) bool { return k.Selector == now.Selector })
	if before >= 0 {
		now.Record, now.Since = key.Status.Keys[before].Record, key.Status.Keys[before].Since
	}
	record, err := r.importedRecord(ctx, key)
	if err != nil {
		return err
	}
	reused := reusesSelector(now.Record, record)
	if !reused && record != "" {
		now.Record = record
	}
	state := v1alpha1.KeyActive
	if revoked {
		state = v1alpha1.KeyRevoked
	}
	if now.State = state; now.Since == nil || before >= 0 && key.Status.Keys[before].State != state {
		now.Since = &metav1.Time{Time: r.Clock.Now().Truncate(time.Second)}
	}
	want.Keys = append([]v1alpha1.KeyStatus{now}, formerKeys(key, now.Selector)...)
	want.Keys = want.Keys[:min(len(want.Keys), statusItems)]
	want.KeyCount = int32(len(want.Keys))

	post, posted, current := r.compiled(key)
	reason, message := failure(post.Findings)
	ready := condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonKeyActive, "selector "+now.Selector+" signs")
	switch {
	case reused:
		r.stall(key, &want, v1alpha1.ReasonSelectorReused, "Secret "+source.SecretRef.Name+" holds another key than the one that was published under selector "+now.Selector+
			", and nothing is signed with it: put the old key back, or give the new one a selector of its own in spec.source.imported.selector")
		return r.writeKeyStatus(ctx, key, want)
	case revoked:
		ready = condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonRevoked, "selector "+now.Selector+" is revoked: import another key under another selector")
	case posted && !current:
		return nil // the post will come
	case reason != "":
		ready = condition(v1alpha1.ConditionReady, false, reason, message)
	case record == "":
		ready = condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonNoKey, "Secret "+source.SecretRef.Name+" holds no private key that can sign at "+source.SecretRef.Key)
	case !posted:
		ready = condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonPending, "the key was not compiled yet")
	case unusedKey(post.Findings):
		ready = condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonUnused, keyUnused)
		fallthrough
	default:
		want.ActiveSelector = now.Selector
	}
	list := []metav1.Condition{ready}
	switch {
	case stalls(post.Findings) && !revoked:
		list = append(list, condition(v1alpha1.ConditionStalled, true, reason, message))
	case ready.Reason == v1alpha1.ReasonPending:
		list = append(list, condition(v1alpha1.ConditionReconciling, true, ready.Reason, ready.Message))
	}
	want.Conditions = conditions(key.Status.Conditions, key.Generation, r.Clock.Now(), list...)
	return r.writeKeyStatus(ctx, key, want)
}

// importedRecord is what is published of the key in the Secret; "" when there is none that can sign.
func (r *dkimKeys) importedRecord(ctx context.Context, key *v1alpha1.DKIMKey) (string, error) {
	ref := key.Spec.Source.Imported.SecretRef
	s, err := r.secrets.Secret(ctx, types.NamespacedName{Namespace: key.Namespace, Name: ref.Name})
	if apierrors.IsNotFound(err) {
		s, err = new(corev1.Secret), nil
	}
	if err != nil {
		return "", err
	}
	record, err := recordOf(key, keylife.Key{Private: s.Data[ref.Key]})
	if err != nil {
		return "", nil // what is wrong is among the findings
	}
	return record, nil
}

// formerKeys are the keys that were imported before, which are not forgotten: their selectors stand for them.
func formerKeys(key *v1alpha1.DKIMKey, selector string) []v1alpha1.KeyStatus {
	var out []v1alpha1.KeyStatus
	for _, k := range key.Status.Keys {
		if k.Selector == selector {
			continue
		}
		k.State = v1alpha1.KeyRetired
		if slices.Contains(key.Spec.Revoked, v1alpha1.Selector(k.Selector)) {
			k.State = v1alpha1.KeyRevoked
		}
		out = append(out, k)
	}
	return out
}

// reusesSelector says whether two records under one selector are of different keys.
func reusesSelector(was, is string) bool {
	if was == "" || is == "" {
		return false
	}
	a, err := dkim.ParseRecord(was)
	if err != nil || a.Public == nil {
		return false
	}
	b, err := dkim.ParseRecord(is)
	public, ok := a.Public.(interface{ Equal(crypto.PublicKey) bool })
	return err == nil && ok && !public.Equal(b.Public)
}
