package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/controllers/records"
)

// fieldPublished finds FederatedDomains by what was written for them to name servers: server, name and type.
const fieldPublished = "calfed.published"

func publishedAt(o client.Object) []string {
	d, ok := o.(*v1alpha1.FederatedDomain)
	if !ok || !d.DeletionTimestamp.IsZero() || !isUpdate(d.Status.Published) {
		return nil
	}
	var out []string
	for _, rec := range d.Status.Published.Records {
		if rec.Written != "" {
			out = append(out, claimOf(d.Status.Published, rec))
		}
	}
	return out
}

func claimOf(at *v1alpha1.PublishedRecords, rec v1alpha1.PublishedRecord) string {
	return at.RFC2136.Server + " " + rec.Name + " " + rec.Type
}

func isUpdate(at *v1alpha1.PublishedRecords) bool {
	return at != nil && at.Type == v1alpha1.PublishRFC2136 && at.RFC2136 != nil
}

// publisher is the one for a place.
func (r *federatedDomains) publisher(ctx context.Context, d *v1alpha1.FederatedDomain, at *v1alpha1.PublishedRecords) (publish.Publisher, error) {
	if !isUpdate(at) {
		return &publish.ExternalDNS{Client: r.client, FieldOwner: fieldOwner, Owner: d, Labels: infra.Labels(gatewayOf(d).Name)}, nil
	}
	ref := at.RFC2136.TSIG.SecretRef
	secret, err := r.secrets.Secret(ctx, types.NamespacedName{Namespace: d.Namespace, Name: ref.Name})
	if apierrors.IsNotFound(err) {
		return nil, &publish.Error{Reason: v1alpha1.ReasonRefNotFound, Message: fmt.Sprintf("Secret %q with the TSIG key does not exist: create it, or correct spec.publish.rfc2136.tsig.secretRef", ref.Name)}
	}
	if err != nil {
		return nil, err
	}
	value, ok := secret.Data[ref.Key]
	if !ok {
		return nil, &publish.Error{Reason: v1alpha1.ReasonRefNotFound, Message: fmt.Sprintf("Secret %q has no key %q: put the TSIG key there, or correct spec.publish.rfc2136.tsig.secretRef", ref.Name, ref.Key)}
	}
	return &publish.Update{Settings: *at.RFC2136, Secret: value, Dial: r.Dial}, nil
}

// change writes want at a place and takes back what else is there of ours. What the domain shares with others is left to them.
func (r *federatedDomains) change(ctx context.Context, d *v1alpha1.FederatedDomain, at *v1alpha1.PublishedRecords, want []records.Record) (publish.Outcome, error) {
	p, err := r.publisher(ctx, d, at)
	if err != nil {
		return publish.Outcome{Ours: at.Records}, err
	}
	ours, err := r.undisputed(ctx, d, at, want)
	if err != nil {
		return publish.Outcome{Ours: at.Records}, err
	}
	return p.Publish(ctx, want, ours)
}

// undisputed are the records of ours that no other FederatedDomain of the namespace wrote, too: that happens with the keys of a parent
// domain. Who was there first may change such a record; who goes does not take it along. What other namespaces say that they wrote
// counts nothing: a stranger's would keep the owner from his own.
func (r *federatedDomains) undisputed(ctx context.Context, d *v1alpha1.FederatedDomain, at *v1alpha1.PublishedRecords, want []records.Record) ([]v1alpha1.PublishedRecord, error) {
	if !isUpdate(at) {
		return at.Records, nil
	}
	var out []v1alpha1.PublishedRecord
	for _, rec := range at.Records {
		var others v1alpha1.FederatedDomainList
		if err := r.client.List(ctx, &others, client.InNamespace(d.Namespace), client.MatchingFields{fieldPublished: claimOf(at, rec)}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, err
		}
		wanted := slices.ContainsFunc(want, func(w records.Record) bool { return strings.EqualFold(w.Name, rec.Name) && w.Type == rec.Type })
		taken := slices.ContainsFunc(others.Items, func(o v1alpha1.FederatedDomain) bool {
			return o.UID != d.UID && (!wanted || olderDomain(&o, d))
		})
		switch {
		case !taken:
			out = append(out, rec)
		case wanted:
			out = append(out, v1alpha1.PublishedRecord{Name: rec.Name, Type: rec.Type, Intended: rec.Intended})
		}
	}
	return out, nil
}

func olderDomain(a, b *v1alpha1.FederatedDomain) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

// note writes down in the status what is published now; nil = nothing. It goes by the API server's object: the cached one may
// be older than the last note.
func (r *federatedDomains) note(ctx context.Context, d *v1alpha1.FederatedDomain, now *v1alpha1.PublishedRecords) error {
	for {
		var fresh v1alpha1.FederatedDomain
		if err := r.live.Get(ctx, client.ObjectKeyFromObject(d), &fresh); err != nil {
			return client.IgnoreNotFound(err)
		}
		if fresh.UID != d.UID {
			return nil
		}
		want := fresh.Status.DeepCopy()
		want.Published = now
		if err := r.writeStatus(ctx, &fresh, *want); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// writeStatus writes a status unless the object changed since it was read: what is noted as published must not be forgotten.
func (r *federatedDomains) writeStatus(ctx context.Context, d *v1alpha1.FederatedDomain, want v1alpha1.FederatedDomainStatus) error {
	return writeStatusAt(ctx, r.client, d, d.ResourceVersion, d.Status, want)
}

// asFailure is an error in the form that a condition needs.
func asFailure(err error) *publish.Error {
	var failure *publish.Error
	if errors.As(err, &failure) {
		return failure
	}
	return &publish.Error{Reason: v1alpha1.ReasonPublishFailed, Message: err.Error()}
}
