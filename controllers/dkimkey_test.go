package controllers

import (
	"context"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/snapshot"
)

// From nothing: a key is made, seen on every server, waited for, and signs; it is followed by the next, and withdrawn when nothing that it
// signed can be valid any more.
func TestAKeyLivesItsLife(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.slow[1] = true
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoKey)
	first := k.live()[0].Selector
	if first != "cal-20260301-100000" || !inStates(v1alpha1.KeyPending)(k.live()) {
		t.Fatalf("%s %v", first, states(k.live()))
	}
	k.says(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAwaitingRecord,
		"name server ns2.example.org (127.0.0.3", "has no TXT record at "+first+"._domainkey.example.org")

	k.unused()
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonUnused, "nothing is signed with it")
	if c := k.condition(v1alpha1.ConditionReconciling); c.Type != "" {
		t.Errorf("a tool would wait for what nobody uses: %+v", c)
	}
	k.post()

	k.slow[1] = false
	k.world()
	k.until("the record is everywhere", inStates(v1alpha1.KeyPublished))
	since := k.clock.Now()
	k.rest()
	k.says(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonPublished, "caches may still deny it")
	k.until("it signs", inStates(v1alpha1.KeyActive))
	if waited := k.clock.Since(since); waited < time.Hour || waited > time.Hour+time.Minute {
		t.Errorf("it signs after %s", waited)
	}
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive, first)
	status := k.key.Status
	if k.condition(v1alpha1.ConditionReconciling).Type != "" || status.ActiveSelector != first || status.KeyCount != 1 ||
		!status.NextRotation.Equal(&metav1.Time{Time: status.Keys[0].Since.Add(23 * time.Hour)}) || !strings.HasPrefix(status.Keys[0].Record, "v=DKIM1; k=ed25519; p=") {
		t.Errorf("%+v", status)
	}

	k.blocking = []string{"edge-1: unreachable: no route"}
	k.until("the next signs", func(keys []keylife.Key) bool { return inStates(v1alpha1.KeyActive, v1alpha1.KeyRetiring)(keys) })
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive)
	k.says(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAwaitingPods, first, "FederatedDomain example", "edge-1: unreachable: no route")
	k.clock.Step(20 * time.Hour) // not until the next rotation
	k.rest()
	if !inStates(v1alpha1.KeyActive, v1alpha1.KeyRetiring)(k.live()) {
		t.Fatalf("a pod may sign with it: %v", states(k.live()))
	}
	k.blocking = nil
	k.world()
	k.rest()
	quiet := k.clock.Now()
	k.until("the first is withdrawn", func(keys []keylife.Key) bool { return keys[len(keys)-1].State == v1alpha1.KeyRetired })
	if waited := k.clock.Since(quiet); waited < 24*time.Hour+10*time.Minute {
		t.Errorf("withdrawn after %s", waited)
	}
	if s := k.secrets(); len(s[0].Data)+len(s[1].Data)+len(s[len(s)-1].Data) == len(s)+1 {
		t.Error("the private key of a Retired key is still there")
	}
}

// Whichever write the operator dies after, and if it dies before and after each: the next process comes to the same end, and no rule is broken on the
// way.
func TestItMayDieBetweenAnyTwoWrites(t *testing.T) {
	t.Parallel()
	life := func(t *testing.T, diesAt int) (end string, writes int) {
		k := newKeyRig(t, generatedSpec(func(g *v1alpha1.GeneratedKey) {
			g.Rotation.RetireAfter = &metav1.Duration{Duration: time.Hour}
		}))
		k.dying.diesAt = diesAt
		k.until("it signs", inStates(v1alpha1.KeyActive))
		k.annotate(v1alpha1.AnnotationRotate, "now")
		k.until("the next signs, and the first is withdrawn", inStates(v1alpha1.KeyActive, v1alpha1.KeyRetired))
		k.rest()
		secrets := []string{}
		for _, s := range k.secrets() {
			secrets = append(secrets, fmt.Sprintf("%s %d", s.Annotations[keylife.AnnotationState], len(s.Data)))
		}
		slices.Sort(secrets)
		return fmt.Sprintf("%s %s %s %d %s", states(k.live()), k.condition(v1alpha1.ConditionReady).Reason, k.key.Status.RotateRequestedAt, k.key.Status.KeyCount, secrets), k.dying.writes
	}
	want, writes := life(t, 0)
	if !strings.HasPrefix(want, "[Active Retired] KeyActive now 2 [Active 1 Retired 0]") || writes < 10 {
		t.Fatalf("%s after %d writes", want, writes)
	}
	for n := atEach; n <= writes; n++ {
		t.Run(fmt.Sprintf("after write %d", n), func(t *testing.T) {
			t.Parallel()
			if end, _ := life(t, n); end != want {
				t.Errorf("got %s, want %s", end, want)
			}
		})
	}
}

func TestManualActivation(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(func(g *v1alpha1.GeneratedKey) { g.Rotation.Activation = v1alpha1.ActivationManual }))
	k.until("the record is everywhere", inStates(v1alpha1.KeyPublished))
	k.clock.Step(2 * time.Hour)
	k.rest()
	selector := k.live()[0].Selector
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAwaitingApproval, "set the annotation calfed.dev/activate-selector to "+selector)
	k.annotate(v1alpha1.AnnotationActivate, "cal-20200101-000000")
	k.rest()
	if !inStates(v1alpha1.KeyPublished)(k.live()) {
		t.Fatalf("another selector was allowed: %v", states(k.live()))
	}
	k.annotate(v1alpha1.AnnotationActivate, selector)
	k.until("it signs", inStates(v1alpha1.KeyActive))
	k.annotate(v1alpha1.AnnotationRotate, "1")
	k.until("the next is published", inStates(v1alpha1.KeyPublished, v1alpha1.KeyActive))
	k.clock.Step(2 * time.Hour)
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive, selector+" signs; selector "+k.live()[0].Selector+" is ready")
}

// A revoked key signs nothing from the moment on that the spec says so; one that is published and waited takes over at once.
func TestRevocation(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(func(g *v1alpha1.GeneratedKey) { g.Rotation.Activation = v1alpha1.ActivationManual }))
	k.until("the record is everywhere", inStates(v1alpha1.KeyPublished))
	k.annotate(v1alpha1.AnnotationActivate, k.live()[0].Selector)
	k.until("it signs", inStates(v1alpha1.KeyActive))
	k.annotate(v1alpha1.AnnotationRotate, "1")
	k.until("the next is published", inStates(v1alpha1.KeyPublished, v1alpha1.KeyActive))
	k.clock.Step(2 * time.Hour)
	keys := k.live()
	k.signed = false
	k.edit(func() {
		k.key.Spec.Revoked = []v1alpha1.Selector{v1alpha1.Selector(keys[1].Selector)}
		metav1.SetMetaDataAnnotation(&k.key.ObjectMeta, v1alpha1.AnnotationActivate, keys[0].Selector)
	})
	if got := states(k.live()); !slices.Equal(got, []string{"Published", "Revoked"}) {
		t.Fatalf("before any write: %v", got)
	}
	k.rest()
	if !inStates(v1alpha1.KeyActive, v1alpha1.KeyRevoked)(k.live()) {
		t.Fatalf("the standby does not take over: %v", states(k.live()))
	}
	k.signed = false
	k.edit(func() { k.key.Spec.Revoked = append(k.key.Spec.Revoked, v1alpha1.Selector(keys[0].Selector)) })
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRevoked, keys[0].Selector+" is revoked")
	if got := states(k.live()); !slices.Equal(got[1:], []string{"Revoked", "Revoked"}) || got[0] != "Pending" && got[0] != "Published" {
		t.Errorf("no new key is made: %v", got)
	}
	for _, s := range k.secrets() {
		if s.Annotations[keylife.AnnotationState] == "Revoked" && len(s.Data) > 0 {
			t.Error("the private key of a revoked key is still there")
		}
	}
}

// Of two keys that are revoked at once each has an Event: they are not taken for one that comes again.
func TestTwoKeysAreRevokedAtOnce(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.until("it signs", inStates(v1alpha1.KeyActive))
	k.annotate(v1alpha1.AnnotationRotate, "1")
	k.until("the next is published", inStates(v1alpha1.KeyPublished, v1alpha1.KeyActive))
	k.rest()
	keys := k.live()
	k.signed = false
	k.edit(func() {
		k.key.Spec.Revoked = []v1alpha1.Selector{v1alpha1.Selector(keys[0].Selector), v1alpha1.Selector(keys[1].Selector)}
	})
	k.rest()
	k.event("KeyRevoked", "selector "+keys[0].Selector+":")
	k.event("KeyRevoked", "selector "+keys[1].Selector+":")
}

// Somebody deletes the Secret of the key that signs: that is said, and a new key is made under a new selector.
func TestALostKeyIsReplaced(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.until("it signs", inStates(v1alpha1.KeyActive))
	k.rest()
	lost := k.live()[0]
	k.signed = false
	if err := k.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: lost.Secret}}); err != nil {
		t.Fatal(err)
	}
	k.rest()
	k.event("KeyLost", lost.Selector, "gone")
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoKey)
	if keys := k.live(); len(keys) != 1 || keys[0].Selector == lost.Selector {
		t.Errorf("%+v", keys)
	}
	k.until("the new one signs", inStates(v1alpha1.KeyActive))
}

// A restore brings the Secrets back without owners, and no status: the key goes on to sign, and no rotation is repeated.
func TestRestoreWithoutStatus(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.annotate(v1alpha1.AnnotationRotate, "in spring")
	k.until("it signs", inStates(v1alpha1.KeyActive))
	k.rest()
	before := k.live()[0]
	saved := k.secrets()[0]
	if err := k.Delete(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	if err := k.Delete(t.Context(), k.key); err != nil {
		t.Fatal(err)
	}
	again := &v1alpha1.DKIMKey{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "cal", Annotations: k.key.Annotations}, Spec: k.key.Spec}
	saved.ObjectMeta = metav1.ObjectMeta{Namespace: k.ns, Name: saved.Name, Labels: saved.Labels, Annotations: saved.Annotations}
	if err := k.Create(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	if err := k.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	k.key = again
	k.restart()
	k.rest()
	keys := k.live()
	if len(keys) != 1 || keys[0].Selector != before.Selector || keys[0].State != v1alpha1.KeyActive || k.key.Status.ActiveSelector != before.Selector || k.key.Status.RotateRequestedAt != "in spring" {
		t.Errorf("%+v, %+v", keys, k.key.Status)
	}
	if owner := metav1.GetControllerOf(&k.secrets()[0]); owner == nil || owner.UID != again.UID {
		t.Errorf("the Secret belongs to %v", owner)
	}
}

// Alternating selectors come back when nobody has the former key's record in a cache any more.
func TestAlternatingSelectors(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(func(g *v1alpha1.GeneratedKey) {
		g.Selectors = v1alpha1.SelectorsAlternating
		g.Rotation.RetireAfter = &metav1.Duration{Duration: time.Hour}
	}))
	for i, want := range []string{"cal1", "cal2", "cal1"} {
		k.until(fmt.Sprintf("key %d signs", i), func(keys []keylife.Key) bool {
			return len(keys) > 0 && keys[0].State == v1alpha1.KeyActive && keys[0].Selector == want && (i == 0 || keys[len(keys)-1].State == v1alpha1.KeyRetired)
		})
		k.annotate(v1alpha1.AnnotationRotate, fmt.Sprint(i))
		delete(k.material, map[string]string{"cal1": "cal2", "cal2": "cal1"}[want]) // withdrawn
	}
	if n := len(k.secrets()); n != 2 {
		t.Errorf("%d Secrets", n)
	}
}

// The record of the key that signs vanishes: said at once, and it signs on, as there is no other.
func TestTheRecordOfTheActiveKeyVanishes(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.until("it signs", inStates(v1alpha1.KeyActive))
	k.rest()
	selector := k.live()[0].Selector
	record := k.dns.has[0][selector]
	k.slow = [2]bool{true, true}
	k.dns.publish(t, 1, nil)
	k.clock.Step(15 * time.Minute)
	k.tolerant = true
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAwaitingRecord, selector+" signs, and name server ns2.example.org", "has no TXT record")
	k.dns.publish(t, 1, map[string]string{selector: "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="})
	k.clock.Step(15 * time.Minute)
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAwaitingRecord, selector+" signs, and name server ns2.example.org", "has another TXT record")
	k.dns.publish(t, 1, map[string]string{selector: strings.Replace(record, "v=DKIM1; k=ed25519; ", "v=DKIM1;k=ed25519;", 1)})
	k.clock.Step(15 * time.Minute)
	k.rest()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive)
}

// Two DKIMKeys cannot have one selector of a domain.
func TestSelectorsOfTwoDKIMKeys(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(func(g *v1alpha1.GeneratedKey) { g.Selectors = v1alpha1.SelectorsAlternating }))
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: keylife.SecretName("example.org", "cal1"),
		Labels: map[string]string{keylife.LabelOwned: keylife.OwnedKey}, Annotations: map[string]string{keylife.AnnotationKeyName: "other"}}}
	if err := k.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	k.rest()
	if wait := k.step(); wait < time.Minute {
		t.Errorf("it tries again after %s", wait)
	}
	k.says(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonConflict, "other has selector cal1 of example.org: choose another spec.source.generated.selectorPrefix")
}

// A key that receivers look for by http/well-known is served by every pod, found by SRV, and seen there from outside.
//
// Proves: IS-DKIM-11
func TestAKeyIsSeenByEveryMethod(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.domain.Spec.Signing.Lookup = nil // both
	if err := k.Update(t.Context(), k.domain); err != nil {
		t.Fatal(err)
	}
	k.blocking = []string{"edge-1: has not taken it over yet"}
	k.rest()
	k.clock.Step(time.Minute)
	k.rest()
	k.says(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAwaitingRecord, "its gateway pods do not serve the key at /.well-known/domainkey yet")
	k.blocking = nil
	k.world()
	k.clock.Step(time.Minute)
	k.rest()
	k.says(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAwaitingRecord, "has no SRV record at _domainkey_lookup._tcp.example.org")
	if k.prober.probes() > 0 {
		t.Error("a resolver was asked before the authoritative servers had the record")
	}
	k.dns.more = "_domainkey_lookup._tcp.example.org. 60 IN SRV 0 0 443 gw.example.org.\n"
	k.prober.report.Steps = []probe.Step{{Name: "key", Verdict: probe.Failed, Cause: "the certificate has expired"}}
	k.world()
	k.clock.Step(time.Minute)
	k.rest()
	k.says(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonAwaitingRecord, "the certificate has expired")
	k.prober.report.Steps = nil
	k.until("it signs", inStates(v1alpha1.KeyActive))
	if asked := k.prober.asked[0]; asked.Domain != "" || len(asked.Keys) != 1 || !slices.Equal(asked.Keys[0].Methods, []string{"http/well-known"}) || asked.Keys[0].Record == "" {
		t.Errorf("%+v", asked)
	}
}

// A look that somebody asks for is made now, and not when its time comes.
func TestResetBackoff(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.slow[1] = true
	k.rest()
	k.slow[1] = false
	k.world()
	k.annotate(v1alpha1.AnnotationResetBackoff, "please")
	k.rest()
	k.rest()
	if !inStates(v1alpha1.KeyPublished)(k.live()) || k.key.Status.ResetBackoffRequestedAt != "please" {
		t.Errorf("%v %+v", states(k.live()), k.key.Status)
	}
}

// An imported key is never touched. Another key under its selector is refused, until the old one is back, or the new one has a
// selector of its own.
func TestAnImportedKeyThatChangesUnderItsSelector(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, v1alpha1.DKIMKeySpec{Domain: "example.org", Source: v1alpha1.KeySource{Type: v1alpha1.KeyImported, Imported: &v1alpha1.ImportedKey{
		Selector: "office", SecretRef: v1alpha1.SecretKeyRef{Name: "office", Key: "private.key"},
	}}})
	reconcileAgain := func() {
		t.Helper()
		for range 2 {
			k.caughtUp()
			if _, err := k.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: k.name()}); err != nil {
				t.Fatal(err)
			}
		}
		k.live()
	}
	reconcileAgain()
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoKey, "Secret office holds no private key")
	first, second := privateKey(t), privateKey(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "office"}, Data: map[string][]byte{"private.key": first}}
	if err := k.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	put := func(private []byte) {
		t.Helper()
		secret.Data["private.key"] = private
		if err := k.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		k.sees(secret)
	}
	k.sees(secret)
	k.post()
	reconcileAgain()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive, "office")
	record := k.key.Status.Keys[0].Record
	if !strings.HasPrefix(record, "v=DKIM1; k=ed25519; p=") {
		t.Errorf("%+v", k.key.Status)
	}

	k.unused()
	reconcileAgain()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonUnused, "nothing is signed with it")
	k.post()

	put(second)
	reconcileAgain()
	k.says(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSelectorReused, "put the old key back")
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSelectorReused)
	if k.key.Status.Keys[0].Record != record || k.key.Status.ActiveSelector != "" {
		t.Errorf("%+v", k.key.Status)
	}
	put(first)
	reconcileAgain()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive)

	put(second)
	k.edit(func() { k.key.Spec.Source.Imported.Selector = "office2" })
	reconcileAgain()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive, "office")
	if k.key.Status.ObservedGeneration == k.key.Generation {
		t.Errorf("called observed before it was compiled: %+v", k.key.Status)
	}
	k.post()
	reconcileAgain()
	k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonKeyActive, "office2")
	k.edit(func() { k.key.Spec.Source.Imported.Selector = "office" })
	reconcileAgain()
	k.says(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSelectorReused)
	k.edit(func() {
		k.key.Spec.Source.Imported.Selector, k.key.Spec.Revoked = "office2", []v1alpha1.Selector{"office2"}
	})
	reconcileAgain()
	k.says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "import another key under another selector")
	if got := k.key.Status.Keys; len(got) != 2 || got[0].State != v1alpha1.KeyRevoked || got[1].State != v1alpha1.KeyRetired {
		t.Errorf("%+v", got)
	}
	if err := k.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil || !slices.Equal(secret.Data["private.key"], second) || len(secret.Annotations)+len(secret.Labels) > 0 {
		t.Errorf("the Secret was touched: %v", err)
	}
}

// What was compiled of a key says nothing about one that is made again under its name, nor of one that was edited.
func TestAKeyThatIsMadeAgainIsAnother(t *testing.T) {
	t.Parallel()
	imported := v1alpha1.DKIMKeySpec{Domain: "example.org", Source: v1alpha1.KeySource{Type: v1alpha1.KeyImported, Imported: &v1alpha1.ImportedKey{
		Selector: "office", SecretRef: v1alpha1.SecretKeyRef{Name: "office", Key: "private.key"},
	}}}
	for name, spec := range map[string]v1alpha1.DKIMKeySpec{"imported": imported, "generated": generatedSpec(nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyRig(t, spec)
			if err := k.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "office"}, Data: map[string][]byte{"private.key": privateKey(t)}}); err != nil {
				t.Fatal(err)
			}
			unobserved := func() {
				t.Helper()
				k.rest()
				if k.key.Status.ObservedGeneration == k.key.Generation {
					t.Errorf("called observed before it was compiled: %+v", k.key.Status)
				}
			}
			isUnused := func() {
				t.Helper()
				k.unused()
				k.rest()
				k.says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonUnused)
				if k.key.Status.ObservedGeneration != k.key.Generation {
					t.Errorf("not observed: %+v", k.key.Status)
				}
			}
			isUnused()
			k.edit(func() { k.key.Spec.ServiceType = v1alpha1.ServiceISchedule })
			unobserved()
			isUnused()

			if err := k.Delete(t.Context(), k.key); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) { return len(k.secrets()) == 0, nil }); err != nil {
				t.Fatalf("Secrets stay: %d", len(k.secrets()))
			}
			k.caughtUp()
			k.material = map[string]string{}
			k.key = &v1alpha1.DKIMKey{ObjectMeta: metav1.ObjectMeta{Namespace: k.ns, Name: "cal"}, Spec: k.key.Spec}
			if err := k.Create(t.Context(), k.key); err != nil {
				t.Fatal(err)
			}
			unobserved()
			if len(k.key.Status.Conditions) > 0 {
				t.Errorf("%+v", k.key.Status)
			}
			isUnused()
		})
	}
}

// In a manager: every change that matters has the key reconciled, and looks go on by themselves.
func TestAKeyInAManager(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil), setupDKIMKey)
	becomes := func(what string, step time.Duration, f func([]keylife.Key) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
			if f(k.live()) {
				return true, nil
			}
			k.clock.Step(step)
			return false, nil
		}); err != nil {
			t.Fatalf("%s: %v %+v", what, states(k.live()), k.key.Status)
		}
	}
	becomes("it is made", 0, inStates(v1alpha1.KeyPending))
	k.world()
	becomes("its record is seen", time.Second, inStates(v1alpha1.KeyPublished))
	becomes("it signs", time.Minute, inStates(v1alpha1.KeyActive))
	becomes("status says so", time.Second, func(keys []keylife.Key) bool { return k.key.Status.ActiveSelector == keys[0].Selector })
	k.annotate(v1alpha1.AnnotationRotate, "now")
	becomes("the next is made", 0, inStates(v1alpha1.KeyPending, v1alpha1.KeyActive))
	k.world()
	becomes("the next signs", time.Minute, inStates(v1alpha1.KeyActive, v1alpha1.KeyRetiring))
	k.world() // the post has the key reconciled
	becomes("no pod signs with the first", 0, func(keys []keylife.Key) bool { return !keys[1].QuietSince.IsZero() })
	if err := k.Delete(t.Context(), k.key); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) { return len(k.secrets()) == 0, nil }); err != nil {
		t.Errorf("Secrets stay: %d", len(k.secrets()))
	}
}

// A pod may sign with a key until it is known that it does not.
func TestPodsThatMaySign(t *testing.T) {
	t.Parallel()
	key := &v1alpha1.DKIMKey{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cal"}}
	domain := v1alpha1.FederatedDomain{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "example"}}
	serves := func(selector string, state snapshot.KeyState) *snapshot.Domain {
		return &snapshot.Domain{Signing: snapshot.Signing{Keys: []snapshot.Key{{Source: "ns/cal", Selector: selector, State: state}}}}
	}
	standby := serves("a", snapshot.KeyStandby)
	for _, tt := range []struct {
		rule  string
		post  *board.Domain
		known bool
		want  keylife.Pods
	}{
		{"nothing was posted", nil, false, keylife.Pods{}},
		{"it is left out", &board.Domain{Written: true, Programmed: true}, true, keylife.Pods{Blocking: "FederatedDomain example: it is left out, and pods may serve what they had: see its conditions"}},
		{"it signs", &board.Domain{Compiled: serves("a", snapshot.KeyActive), Written: true, Programmed: true}, true, keylife.Pods{Blocking: "FederatedDomain example: the snapshot without the key is not written yet"}},
		{"not written", &board.Domain{Compiled: standby, Programmed: true}, true, keylife.Pods{Blocking: "FederatedDomain example: the snapshot without the key is not written yet"}},
		{"a pod hangs", &board.Domain{Compiled: standby, Written: true, Blocking: []string{"edge-1: unreachable"}}, true, keylife.Pods{Blocking: "FederatedDomain example: pod edge-1: unreachable"}},
		{"there is no pod", &board.Domain{Compiled: standby, Written: true}, true, keylife.Pods{Blocking: "FederatedDomain example: no gateway pod has answered yet"}},
		{"every pod has it", &board.Domain{Compiled: standby, Written: true, Programmed: true}, true, keylife.Pods{Quiet: true}},
		{"another key signs", &board.Domain{Compiled: serves("b", snapshot.KeyActive), Written: true, Programmed: true}, true, keylife.Pods{Quiet: true}},
	} {
		r := &dkimKeys{deps: &deps{board: &board.Board{}}}
		if tt.post != nil {
			r.board.Domains.Post(client.ObjectKeyFromObject(&domain), *tt.post)
		}
		if got, known := r.pods(key, "a", []v1alpha1.FederatedDomain{domain}); got != tt.want || known != tt.known {
			t.Errorf("%s: got %+v, %t", tt.rule, got, known)
		}
	}
}

// A cache that has not heard of the new Secret yet makes no second key.
func TestACacheThatLags(t *testing.T) {
	t.Parallel()
	k := newKeyRig(t, generatedSpec(nil))
	k.caughtUp()
	if _, err := k.r.Reconcile(t.Context(), reconcile.Request{NamespacedName: k.name()}); err != nil {
		t.Fatal(err)
	}
	if len(k.secrets()) != 1 {
		t.Fatalf("%d Secrets", len(k.secrets()))
	}
	if waits, err := k.r.awaitsMade(t.Context(), k.name(), nil); !waits || err != nil {
		t.Errorf("it does not wait for what it made: %v", err)
	}
	if waits, err := k.r.awaitsMade(t.Context(), k.name(), k.secrets()); waits || err != nil {
		t.Errorf("it waits for what is there: %v", err)
	}
	k.r.made.Store(k.name(), "gone")
	if waits, err := k.r.awaitsMade(t.Context(), k.name(), nil); waits || err != nil {
		t.Errorf("it waits for a Secret that is gone: %v", err)
	}
}

// Keys of every algorithm sign what their records verify.
func TestKeysOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	r := newDKIMKeys(&deps{Options: Options{Clock: clock.RealClock{}}}, nil)
	for _, a := range []v1alpha1.KeyAlgorithm{v1alpha1.AlgorithmRSA2048, v1alpha1.AlgorithmRSA3072, v1alpha1.AlgorithmRSA4096, v1alpha1.AlgorithmEd25519} {
		private, err := r.makePrivate(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		record, err := recordOf(&v1alpha1.DKIMKey{}, keylife.Key{Private: private})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := dkim.ParseRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		got := "Ed25519"
		if public, ok := parsed.Public.(*rsa.PublicKey); ok {
			got = fmt.Sprintf("RSA-%d", public.N.BitLen())
		}
		if got != string(a) {
			t.Errorf("%s for %s", got, a)
		}
	}
}

func TestRecordsThatReceiversTakeForTheSame(t *testing.T) {
	t.Parallel()
	const key, other = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
	const want = "v=DKIM1; k=ed25519; p=" + key
	for got, same := range map[string]bool{
		want:                                    true,
		"k=ed25519;p=" + key:                    true,
		"v=DKIM1; k=ed25519; s=*; p=" + key:     true,
		"v=DKIM1; k=ed25519; s=email; p=" + key: false,
		"v=DKIM1; k=ed25519; t=y; p=" + key:     false,
		"v=DKIM1; k=ed25519; t=s; p=" + key:     false,
		"v=DKIM1; k=ed25519; p=":                false,
		"v=DKIM1; k=ed25519; p=" + other:        false,
		"hello":                                 false,
	} {
		if sameRecord(want, got) != same {
			t.Errorf("%q: want %t", got, same)
		}
	}
}
