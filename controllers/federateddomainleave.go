package controllers

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/calfed/calfed/api/v1alpha1"
)

// finalizer keeps a FederatedDomain until its records are taken back from a name server.
const finalizer = "calfed.dev/dns"

// leaving is the key of the sight of a domain that is being deleted.
const leaving = "leaving"

// leave sees to it that a domain which is being deleted is looked at, or lets it go.
func (r *federatedDomains) leave(ctx context.Context, d *v1alpha1.FederatedDomain) error {
	name := client.ObjectKeyFromObject(d)
	if !controllerutil.ContainsFinalizer(d, finalizer) {
		return nil
	}
	if !isUpdate(d.Status.Published) || len(d.Status.Published.Records) == 0 {
		return r.letGo(ctx, d)
	}
	r.rounds.Add(name, string(d.UID), false)
	if seen, _ := r.sights.get(name); seen.key != leaving {
		r.sights.set(name, sight{uid: d.UID, key: leaving})
		r.rounds.Now(name)
	}
	return nil
}

func (r *federatedDomains) letGo(ctx context.Context, d *v1alpha1.FederatedDomain) error {
	before := d.DeepCopy()
	controllerutil.RemoveFinalizer(d, finalizer)
	err := r.client.Patch(ctx, d, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(fieldOwner))
	return client.IgnoreNotFound(err)
}

// takeAway takes the records of a domain back that is being deleted. It tries until it can, but only once where it never could: the
// namespace goes with the credentials, or those are gone.
func (r *federatedDomains) takeAway(ctx context.Context, d *v1alpha1.FederatedDomain) bool {
	if !controllerutil.ContainsFinalizer(d, finalizer) || !isUpdate(d.Status.Published) {
		return true
	}
	if _, err := r.change(ctx, d, d.Status.Published, nil); err != nil {
		ns := r.goingNamespace(ctx, d.Namespace)
		switch {
		case ctx.Err() != nil:
			return false
		case ns != nil:
			r.leftovers(d, ns, err)
		case asFailure(err).Reason == v1alpha1.ReasonRefNotFound:
			r.leftovers(d, d, err)
		default:
			r.wait(ctx, d, err)
			return false
		}
	}
	if err := r.note(ctx, d, nil); err != nil {
		return false
	}
	var fresh v1alpha1.FederatedDomain
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(d), &fresh); err != nil {
		return client.IgnoreNotFound(err) == nil
	}
	return fresh.UID != d.UID || r.letGo(ctx, &fresh) == nil
}

// wait says what the deletion waits for.
func (r *federatedDomains) wait(ctx context.Context, d *v1alpha1.FederatedDomain, err error) {
	message := "its DNS records are to be taken back before it goes: " + asFailure(err).Message + "; to let it go and its records stay, remove the finalizer " + finalizer
	want := d.Status.DeepCopy()
	keep := slices.DeleteFunc(slices.Clone(want.Conditions), func(c metav1.Condition) bool {
		return slices.Contains([]string{v1alpha1.ConditionReady, v1alpha1.ConditionPublished, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled}, c.Type)
	})
	want.Conditions = conditions(d.Status.Conditions, d.Generation, r.Clock.Now(), append(keep,
		condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonTerminating, message),
		condition(v1alpha1.ConditionPublished, false, v1alpha1.ReasonTerminating, message))...)
	if err := quiet(r.writeStatus(ctx, d, *want)); err != nil {
		r.Log.Warn("status cannot be written", "federateddomain", d.Namespace+"/"+d.Name, "error", err)
	}
}

// goingNamespace returns a namespace when it is being deleted, else nil. An operator of single namespaces may not look.
func (r *federatedDomains) goingNamespace(ctx context.Context, name string) *corev1.Namespace {
	var ns corev1.Namespace
	if err := r.live.Get(ctx, types.NamespacedName{Name: name}, &ns); err != nil || ns.DeletionTimestamp.IsZero() {
		return nil
	}
	return &ns
}

// leftovers tells of records that nobody takes back any more. at is what the Event is about: nothing can be said of what is in a namespace
// that is being deleted.
func (r *federatedDomains) leftovers(d *v1alpha1.FederatedDomain, at runtime.Object, err error) {
	var names []string
	for _, rec := range d.Status.Published.Records {
		names = append(names, rec.Name+" "+rec.Type)
	}
	left := clip(strings.Join(names, ", "))
	// without the domain, Events about two in one namespace would be taken for one that comes again
	r.events.Eventf(at, d, corev1.EventTypeWarning, "RecordsLeft", "Withdraw", "%s", clip("FederatedDomain "+d.Name+": "+asFailure(err).Message+"; remove by hand: "+left))
	r.Log.Warn("DNS records stay behind", "federateddomain", d.Namespace+"/"+d.Name, "records", left)
}
