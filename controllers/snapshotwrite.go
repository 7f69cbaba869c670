package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/keylife"
	"github.com/calfed/calfed/gateway/snapshot"
)

// errNotLeading means that another operator has taken over.
var errNotLeading = errors.New("another operator leads")

// leadingAgain is when to ask again: an operator that lost the lead is stopped before.
const leadingAgain = 5 * time.Second

// writesAtOnce of shards.
const writesAtOnce = 8

// write brings the Secrets to what was compiled: changed shards first, the index last, then shards that nothing names any
// more are deleted. Equal content is not written again. What cannot be written stays as it is and is told; the rest goes out.
func (r *snapshots) write(ctx context.Context, st *gatewayState, gw *v1alpha1.FederationGateway) error {
	st.problem = ""
	st.held = st.hold(gw.Annotations[v1alpha1.AnnotationConfirmRemoval])
	if !st.settings.OK || !gw.DeletionTimestamp.IsZero() {
		return nil
	}
	w := &snapshotWriter{snapshots: r, st: st, gw: gw, serial: st.stored.next(), merged: map[int]*part{}}
	st.problem = st.tooLarge()
	if err := w.keepHeld(ctx); err != nil {
		return err
	}
	if !w.anything() {
		return nil
	}
	if st.foreign && r.Leading != nil {
		if err := r.Leading(ctx); err != nil {
			return fmt.Errorf("%w: %w", errNotLeading, err)
		}
	}
	err := w.shards(ctx)
	if err == nil {
		err = w.index(ctx)
	}
	if err == nil {
		err = w.delete(ctx)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		st.stored, st.foreign = nil, true // what we know of the cluster is wrong
		return err
	}
	if err == nil {
		err = errors.Join(w.refused...)
	}
	if err == nil {
		st.foreign = false
		return nil
	}
	if problem := explain(err); problem != "" {
		st.problem = problem
	}
	return err
}

// snapshotWriter is the state of one write.
type snapshotWriter struct {
	*snapshots
	st     *gatewayState
	gw     *v1alpha1.FederationGateway
	serial uint64
	merged map[int]*part // shards with domains on hold

	mu      sync.Mutex
	refused []error
}

// wanted is the part of a shard when it has to be written.
func (w *snapshotWriter) wanted(number int) *part {
	p, old := w.st.parts[number], w.st.stored.shards[number]
	if w.st.held.keeps(number) {
		p = w.merged[number]
	}
	switch {
	case p == nil || len(p.shard.Domains) == 0 || p.tooLarge:
		return nil
	case old != nil && old.sha == p.shard.SHA256:
		return nil
	}
	return p
}

// obsolete says whether a shard's Secret shall go.
func (w *snapshotWriter) obsolete(number int) bool {
	p := w.st.parts[number]
	return w.st.stored.shards[number] != nil && (p == nil || len(p.shard.Domains) == 0) && !w.st.held.keeps(number)
}

func (w *snapshotWriter) anything() bool {
	for number := range snapshot.Shards {
		if w.wanted(number) != nil || w.obsolete(number) {
			return true
		}
	}
	return w.indexChanged()
}

// tooLarge says which shards do not fit; "" when all do.
func (st *gatewayState) tooLarge() string {
	var numbers []string
	for number, p := range st.parts {
		if p != nil && p.tooLarge {
			numbers = append(numbers, fmt.Sprintf("%03d", number))
		}
	}
	if len(numbers) == 0 {
		return ""
	}
	return v1alpha1.ReasonTooLarge + ": shard " + strings.Join(numbers, ", ") + " does not fit a Secret, and its domains are served as before: " +
		"spread them over more gateways, or let policies name fewer peers and smaller certificate bundles"
}

// shards writes those that changed.
func (w *snapshotWriter) shards(ctx context.Context) error {
	wanted := map[int]*part{}
	for number := range snapshot.Shards {
		if p := w.wanted(number); p != nil {
			wanted[number] = p
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writesAtOnce)
	for number, p := range wanted {
		g.Go(func() error {
			err := w.shard(ctx, number, p)
			if refusal(err) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.refused = append(w.refused, err)
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// refusal says whether the API server will go on refusing this Secret, though it takes others.
func refusal(err error) bool {
	return err != nil && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) &&
		(apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err))
}

func (w *snapshotWriter) shard(ctx context.Context, number int, p *part) error {
	if p.encoded == nil || p.shard.Serial != w.serial {
		if err := p.encode(w.serial); err != nil {
			return err
		}
	}
	w.mu.Lock()
	old := w.st.stored.shards[number]
	w.mu.Unlock()
	version := ""
	if old != nil {
		version = old.resourceVersion
	}
	secret := w.secret(snapshot.ShardName(w.gw.Name, number), version, snapshot.ShardKey, p.encoded)
	if err := w.put(ctx, secret); err != nil {
		return err
	}
	sh := storedOf(&p.shard)
	sh.resourceVersion = secret.ResourceVersion
	p.encoded = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.st.stored.shards[number] = sh
	w.st.history.add(number, sh.sha, sh.domains)
	w.metrics.shards.Inc()
	return nil
}

// next is the index that belongs to the shards as they are stored.
func (w *snapshotWriter) next() snapshot.Index {
	x := snapshot.Index{Serial: w.serial, Gateway: w.st.settings.Settings}
	for number := range snapshot.Shards {
		sh := w.st.stored.shards[number]
		if sh == nil || sh.sha == "" || w.obsolete(number) {
			continue
		}
		x.Shards = append(x.Shards, snapshot.ShardRef{Number: number, Serial: sh.serial, SHA256: sh.sha})
	}
	return x
}

func (w *snapshotWriter) indexChanged() bool {
	old := w.st.stored.index
	return old == nil || old.bad || !equalIndex(old.index, w.next())
}

func (w *snapshotWriter) index(ctx context.Context) error {
	if !w.indexChanged() {
		return nil
	}
	x := w.next()
	encoded, err := snapshot.EncodeIndex(&x)
	if err != nil {
		return err
	}
	version := ""
	if old := w.st.stored.index; old != nil {
		version = old.resourceVersion
	}
	secret := w.secret(snapshot.IndexName(w.gw.Name), version, snapshot.IndexKey, encoded)
	secret.Annotations = map[string]string{
		annotationSerial: strconv.FormatUint(w.st.settings.Capabilities.Serial, 10),
		annotationDigest: w.st.settings.Capabilities.Digest,
	}
	if err := w.put(ctx, secret); err != nil {
		return err
	}
	w.st.stored.index = &storedIndex{uid: string(secret.UID), resourceVersion: secret.ResourceVersion, index: x}
	return nil
}

// delete deletes shards that the index no longer names. One that cannot be deleted harms nobody: the next write tries again.
func (w *snapshotWriter) delete(ctx context.Context) error {
	for number := range snapshot.Shards {
		if !w.obsolete(number) {
			continue
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.gw.Namespace, Name: snapshot.ShardName(w.gw.Name, number)}}
		version := w.st.stored.shards[number].resourceVersion
		err := w.client.Delete(ctx, secret, client.Preconditions{ResourceVersion: &version})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s: %w", secret.Name, err)
		}
		delete(w.st.stored.shards, number)
		w.st.parts[number] = nil
	}
	return nil
}

func (w *snapshotWriter) secret(name, resourceVersion, key string, value []byte) *corev1.Secret {
	labels := infra.Labels(w.gw.Name)
	labels[keylife.LabelOwned] = ownedSnapshot
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.gw.Namespace, Name: name, ResourceVersion: resourceVersion, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{infra.Owner(w.gw)},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{key: value},
	}
}

// put creates a Secret, or replaces the version of it that we know: whoever knows less loses.
func (w *snapshotWriter) put(ctx context.Context, secret *corev1.Secret) error {
	name, size := secret.Name, len(secret.Data[snapshot.ShardKey])+len(secret.Data[snapshot.IndexKey])
	var err error
	verb := "update"
	if secret.ResourceVersion == "" {
		verb = "create"
		err = w.client.Create(ctx, secret)
	} else {
		err = w.client.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("%s Secret %s: %w", verb, types.NamespacedName{Namespace: w.gw.Namespace, Name: name}, err)
	}
	w.metrics.bytes.Add(float64(size))
	return nil
}

// explain says what people can do about an error; "" when waiting is all there is to do.
func explain(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return ""
	}
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return "a ResourceQuota of the namespace refuses a Secret: raise it; " + firstOf(err)
	case apierrors.IsForbidden(err):
		return "the operator may not do what it has to: give its ServiceAccount the rules of config/rbac, or end what else forbids it; " + firstOf(err)
	case apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err):
		return "the API server refuses a Secret: " + firstOf(err)
	}
	return ""
}

// firstOf is the first error of several, in an order that does not depend on which came first.
func firstOf(err error) string {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err.Error()
	}
	var texts []string
	for _, e := range joined.Unwrap() {
		texts = append(texts, e.Error())
	}
	return slices.Min(texts)
}
