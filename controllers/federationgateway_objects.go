package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
)

// ofOwner leads from an object of ours to its gateway.
func (r *gateways) ofOwner() handler.EventHandler {
	return handler.EnqueueRequestForOwner(r.client.Scheme(), r.client.RESTMapper(), &v1alpha1.FederationGateway{}, handler.OnlyControllerOwner())
}

// cached is how the cache has objects of a kind: by their metadata, save those whose status is told.
func cached(kind schema.GroupVersionKind) client.Object {
	switch kind {
	case infra.Deployment:
		return &appsv1.Deployment{}
	case infra.Service:
		return &corev1.Service{}
	}
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(kind)
	return m
}

func ownedBy(o metav1.Object, gw *v1alpha1.FederationGateway) bool {
	c := metav1.GetControllerOfNoCopy(o)
	return c != nil && c.UID == gw.UID
}

// keepObjects makes every object of a gateway what it must be. What cannot be helped now is noted in seen; the error is one
// that may pass.
func (r *gateways) keepObjects(ctx context.Context, gw *v1alpha1.FederationGateway, now time.Time, seen *gatewaySeen) error {
	have, err := r.kinds.present(ctx)
	if err != nil {
		return err
	}
	facts := infra.Facts{Image: r.Image, APIServer: r.APIServer, Kinds: have}
	handover, err := r.scale(ctx, gw, &facts)
	if err != nil {
		return err
	}
	for _, p := range infra.Missing(gw, have) {
		seen.refuse(v1alpha1.ReasonKindNotFound, p.Field+": "+p.Message)
	}
	objects, err := infra.Objects(gw, facts)
	if err != nil {
		return err
	}
	var failed []error
	for _, o := range objects {
		if o.Kind == infra.Deployment && o.Apply != nil && handover != "" {
			o.Apply.SetResourceVersion(handover)
		}
		if err := r.keep(ctx, gw, o, now, seen); err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w", o.Kind.Kind, o.Name, err))
		}
	}
	return errors.Join(failed...)
}

// scale fills in how many pods there are, and who says so. The resource version is that of the Deployment when its number is
// applied though an autoscaler may write another one at this moment; otherwise it is empty.
func (r *gateways) scale(ctx context.Context, gw *v1alpha1.FederationGateway, f *infra.Facts) (string, error) {
	if gw.Spec.Autoscaling == nil {
		return "", nil
	}
	var d appsv1.Deployment // with its managed fields, which caches drop
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(gw), &d); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	f.Replicas, f.Scaled = d.Spec.Replicas, infra.Scaled(&d, fieldOwner)
	if f.Scaled {
		return "", nil
	}
	return d.ResourceVersion, nil
}

// keep makes one object what it must be, unless it is somebody else's.
func (r *gateways) keep(ctx context.Context, gw *v1alpha1.FederationGateway, o infra.Object, now time.Time, seen *gatewaySeen) error {
	live, err := r.find(ctx, o, client.ObjectKey{Namespace: gw.Namespace, Name: o.Name})
	switch {
	case apierrors.IsNotFound(err):
		live = nil
	case err != nil:
		return err
	case !ownedBy(live, gw) && o.Apply != nil:
		seen.refuse(v1alpha1.ReasonConflict, fmt.Sprintf("%s %q is there already and not this gateway's: delete it, or give the gateway another name", o.Kind.Kind, o.Name))
		seen.lookAgain(retryForeign)
		return nil
	case !ownedBy(live, gw) || !live.GetDeletionTimestamp().IsZero():
		return nil // not ours, or going: its end will be told
	}
	if o.Apply == nil {
		return r.remove(ctx, gw, o, live)
	}
	return r.apply(ctx, gw, o, live, now, seen)
}

func (r *gateways) remove(ctx context.Context, gw *v1alpha1.FederationGateway, o infra.Object, live client.Object) error {
	if live == nil {
		return nil
	}
	err := r.client.Delete(ctx, live, client.Preconditions{UID: new(live.GetUID())}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err == nil {
		r.events.Eventf(gw, live, corev1.EventTypeNormal, "Deleted", "Delete", "%s %s: the spec does not want it any more", o.Kind.Kind, o.Name)
	}
	return client.IgnoreNotFound(err)
}

// find looks for an object in the cache, and where that cannot tell at the API server.
func (r *gateways) find(ctx context.Context, o infra.Object, key client.ObjectKey) (client.Object, error) {
	live := cached(o.Kind)
	err := apierrors.NewNotFound(schema.GroupResource{}, o.Name)
	if !o.Optional || r.kinds.cached(o.Kind) {
		if err := r.objects.Get(ctx, key, live); !apierrors.IsNotFound(err) {
			return live, err
		}
	}
	if o.Apply == nil {
		return nil, err
	}
	return r.fresh(ctx, o) // not there, or without our labels
}

// fresh asks the API server for the metadata of an object.
func (r *gateways) fresh(ctx context.Context, o infra.Object) (client.Object, error) {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(o.Kind)
	return m, r.live.Get(ctx, client.ObjectKeyFromObject(o.Apply), m)
}

// apply applies an object that is not as it was left. live is nil when there is none.
func (r *gateways) apply(ctx context.Context, gw *v1alpha1.FederationGateway, o infra.Object, live client.Object, now time.Time, seen *gatewaySeen) error {
	said, err := fingerprint(o.Apply.Object)
	if err != nil {
		return err
	}
	if live != nil {
		if r.applied.is(gw, o, said, live) {
			return nil
		}
		// caches may be behind: what differs is looked at again before anybody is said to have changed it
		live, err = r.fresh(ctx, o)
		if err != nil || r.applied.is(gw, o, said, live) {
			return client.IgnoreNotFound(err)
		}
		if wait := r.applied.patience(gw, o, said, now); wait > 0 {
			seen.lookAgain(wait)
			return nil
		}
		o.Apply.SetUID(live.GetUID()) // not another one that came under the name since
	}
	err = r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.Apply), client.FieldOwner(fieldOwner), client.ForceOwnership)
	switch {
	case err == nil:
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case apierrors.IsInvalid(err):
		seen.refuseForGood(v1alpha1.ReasonInvalidValue, fmt.Sprintf("the API server does not take what the spec makes of %s %q: %s", o.Kind.Kind, o.Name, apiMessage(err)))
		return nil
	case apierrors.IsForbidden(err) || apierrors.IsBadRequest(err): // admission, quota
		seen.refuse(v1alpha1.ReasonRefused, fmt.Sprintf("%s %q was refused: %s", o.Kind.Kind, o.Name, apiMessage(err)))
		return err
	default:
		return err
	}
	if r.applied.done(gw, o, said, live, o.Apply, now) {
		// without the object, Events about two of them would be taken for one that comes again
		r.events.Eventf(gw, o.Apply, corev1.EventTypeNormal, "PutBack", "Apply", "%s %s was changed by somebody else and is put back", o.Kind.Kind, o.Name)
	}
	return nil
}

func apiMessage(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code != http.StatusInternalServerError {
		return status.Status().Message
	}
	return err.Error()
}
