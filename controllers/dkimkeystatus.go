package controllers

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/keylife"
)

// revokedRecord says that a key must not be believed (RFC 6376 §3.6.1).
const revokedRecord = "v=DKIM1; p="

const keyUnused = "nothing is signed with it: name it in spec.signing.keys of a FederatedDomain of its namespace"

// generatedStatus is the status of a generated key: all of it follows from the Secrets, save what was seen.
func (r *dkimKeys) generatedStatus(key *v1alpha1.DKIMKey, f keylife.Facts, step keylife.Step) v1alpha1.DKIMKeyStatus {
	want := v1alpha1.DKIMKeyStatus{
		ObservedGeneration:      key.Generation,
		KeyCount:                int32(len(f.Keys)),
		RotateRequestedAt:       key.Status.RotateRequestedAt,
		ResetBackoffRequestedAt: keylife.Echo(key.Annotations[v1alpha1.AnnotationResetBackoff]),
	}
	if request := keylife.Request(key); keylife.Obeyed(key, f.Keys, request) {
		want.RotateRequestedAt = request
	}
	for _, k := range f.Keys[:min(len(f.Keys), statusItems)] {
		status := v1alpha1.KeyStatus{Selector: k.Selector, State: k.State, SecretName: k.Secret}
		if !k.Since.IsZero() {
			status.Since = &metav1.Time{Time: k.Since}
		}
		if k.State == v1alpha1.KeyRevoked {
			status.Record = revokedRecord
		} else if keylife.Outside(k.State) {
			status.Record, _ = recordOf(key, k) // a key without one is among the findings
		}
		want.Keys = append(want.Keys, status)
	}
	active, signs := signing(f.Keys)
	if signs {
		want.ActiveSelector = active.Selector
		if at, rotates := keylife.Rotation(key.Spec.Source.Generated, active); rotates {
			want.NextRotation = &metav1.Time{Time: at}
		}
	}
	post, _, _ := r.compiled(key)
	reason, message := failure(post.Findings)
	ready := readyKey(f)
	var list []metav1.Condition
	switch {
	case stalls(post.Findings):
		ready = condition(v1alpha1.ConditionReady, false, reason, message)
		list = append(list, condition(v1alpha1.ConditionStalled, true, reason, message))
	case reason == "" && ready.Reason != v1alpha1.ReasonRevoked && unusedKey(post.Findings):
		ready = condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonUnused, keyUnused)
	default:
		if reason != "" {
			ready = condition(v1alpha1.ConditionReady, false, reason, message)
		}
		if c := reconcilingKey(step); c != nil {
			list = append(list, *c)
		}
	}
	if approval := waitFor(step, v1alpha1.ReasonAwaitingApproval); approval != nil {
		if ready.Status == metav1.ConditionFalse && reason == "" {
			ready.Reason = approval.Reason
		}
		ready.Message += "; selector " + approval.Selector + " is ready: " + approval.Message
	}
	want.Conditions = conditions(key.Status.Conditions, key.Generation, r.Clock.Now(), append(list, ready)...)
	return want
}

// compiled is what compiling said of a key, and whether it said that of the key as it is: not of the one that had its name before, and
// not of what was in its spec.
func (r *dkimKeys) compiled(key *v1alpha1.DKIMKey) (post board.Key, posted, current bool) {
	post, posted = r.board.Keys.Get(client.ObjectKeyFromObject(key))
	return post, posted, posted && post.UID == key.UID && post.Generation == key.Generation
}

// unusedKey says whether nobody waits for the key, and so no tool that waits shall.
func unusedKey(findings []compile.Finding) bool {
	return slices.ContainsFunc(findings, func(f compile.Finding) bool { return f.Reason == v1alpha1.ReasonUnused })
}

func signing(keys []keylife.Key) (keylife.Key, bool) {
	i := slices.IndexFunc(keys, func(k keylife.Key) bool { return keylife.Signs(k.State) })
	if i < 0 {
		return keylife.Key{}, false
	}
	return keys[i], true
}

func waitFor(step keylife.Step, reason string) *keylife.Wait {
	if i := slices.IndexFunc(step.Waits, func(w keylife.Wait) bool { return w.Reason == reason }); i >= 0 {
		return &step.Waits[i]
	}
	return nil
}

// readyKey is the condition Ready as the keys themselves have it.
func readyKey(f keylife.Facts) metav1.Condition {
	active, signs := signing(f.Keys)
	if signs {
		if seen := f.Seen[active.Selector]; seen.Missing {
			return condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonAwaitingRecord, "selector "+active.Selector+" signs, and "+seen.Problem+": receivers refuse what it signs until its record is back")
		}
		return condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonKeyActive, "selector "+active.Selector+" signs")
	}
	for _, k := range f.Keys {
		switch k.State {
		case v1alpha1.KeyPending, v1alpha1.KeyPublished:
			continue
		case v1alpha1.KeyRevoked:
			return condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonRevoked, "no key signs: selector "+k.Selector+" is revoked, and the next is not ready")
		}
		break
	}
	return condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonNoKey, "no key signs: the next is not ready")
}

// reconcilingKey says what is under way; nil when nothing is, or only a person can go on.
func reconcilingKey(step keylife.Step) *metav1.Condition {
	var parts []string
	reason := ""
	for _, w := range step.Waits {
		if w.Reason == v1alpha1.ReasonAwaitingApproval || w.Reason == v1alpha1.ReasonRevoked {
			continue
		}
		if reason == "" {
			reason = w.Reason
		}
		parts = append(parts, "selector "+w.Selector+": "+w.Message)
	}
	if parts == nil {
		return nil
	}
	c := condition(v1alpha1.ConditionReconciling, true, reason, strings.Join(parts, "; "))
	return &c
}

// stall says that only an edit of the spec helps.
func (r *dkimKeys) stall(key *v1alpha1.DKIMKey, want *v1alpha1.DKIMKeyStatus, reason, message string) {
	want.Conditions = conditions(key.Status.Conditions, key.Generation, r.Clock.Now(),
		condition(v1alpha1.ConditionStalled, true, reason, message), condition(v1alpha1.ConditionReady, false, reason, message))
}

// writeKeyStatus writes the status, and tells of an Active key that is gone without a word.
func (r *dkimKeys) writeKeyStatus(ctx context.Context, key *v1alpha1.DKIMKey, want v1alpha1.DKIMKeyStatus) error {
	lost := key.Status.ActiveSelector
	if slices.ContainsFunc(want.Keys, func(k v1alpha1.KeyStatus) bool { return k.Selector == lost }) {
		lost = ""
	}
	if err := writeStatus(ctx, r.client, key, key.Status, want); err != nil {
		return client.IgnoreNotFound(err)
	}
	if lost != "" && key.Spec.Source.Generated != nil {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: keylife.SecretName(string(key.Spec.Domain), lost)}}
		r.events.Eventf(key, secret, corev1.EventTypeWarning, "KeyLost", "Look", "the Secret of selector %s, which signed, is gone or cannot be read: the next key takes over when it is ready, and until then nothing is signed", lost)
	}
	return nil
}
