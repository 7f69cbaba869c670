package controllers

import (
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/board"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/keylife"
)

// fieldOwner of what is applied; status is applied as statusOwner.
const (
	fieldOwner  = "calfed"
	statusOwner = "calfed-status"
)

// ownedSnapshot is the value of the label calfed.dev/owned on the Secrets of snapshots, which nothing caches.
const ownedSnapshot = "snapshot"

// Labels by which what the operator made is found; infra.Labels has all.
const (
	labelInstance  = "app.kubernetes.io/instance" // the gateway
	labelComponent = "app.kubernetes.io/component"
	labelManagedBy = "app.kubernetes.io/managed-by"
)

// ManagerOptions are what Setup needs of a manager: its caches and its client. Whoever makes the manager adds addresses and
// leader election.
func ManagerOptions(opt Options) (manager.Options, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return manager.Options{}, fmt.Errorf("scheme: %w", err)
		}
	}
	return manager.Options{
		Scheme: scheme,
		Cache:  cacheOptions(scheme, opt.Namespaces),
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
	}, nil
}

// cacheOptions are those of the manager's cache: Secrets and ConfigMaps are in it by their metadata only, and only pods of
// gateways.
func cacheOptions(scheme *runtime.Scheme, namespaces []string) cache.Options {
	pods := infra.PodLabels("")
	delete(pods, labelInstance) // of any gateway
	opt := cache.Options{
		Scheme:           scheme,
		DefaultTransform: trim,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}: {Label: labels.SelectorFromSet(pods)},
		},
	}
	for _, ns := range namespaces {
		if opt.DefaultNamespaces == nil {
			opt.DefaultNamespaces = map[string]cache.Config{}
		}
		opt.DefaultNamespaces[ns] = cache.Config{}
	}
	return opt
}

// trim drops what nobody reads.
func trim(object any) (any, error) {
	if m, ok := object.(metav1.Object); ok {
		m.SetManagedFields(nil)
		delete(m.GetAnnotations(), corev1.LastAppliedConfigAnnotation)
	}
	return object, nil
}

func newDeps(mgr manager.Manager, opt Options) (*deps, error) {
	if opt.Clock == nil {
		opt.Clock = clock.RealClock{}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	owned, err := ownedCache(mgr, opt)
	if err != nil {
		return nil, err
	}
	d := &deps{
		Options: opt,
		board:   &board.Board{},
		secrets: newContents(mgr),
		owned:   owned,
		events:  mgr.GetEventRecorder("calfed"),
	}
	d.backendAskers = newAskers(d)
	return d, nil
}

// ownedCache is a cache of its own because the manager's has one way a kind: Secrets are in that by metadata, all of them.
func ownedCache(mgr manager.Manager, opt Options) (cache.Cache, error) {
	exists, err := labels.NewRequirement(keylife.LabelOwned, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	other, err := labels.NewRequirement(keylife.LabelOwned, selection.NotEquals, []string{ownedSnapshot})
	if err != nil {
		return nil, err
	}
	options := cacheOptions(mgr.GetScheme(), opt.Namespaces)
	options.HTTPClient, options.Mapper = mgr.GetHTTPClient(), mgr.GetRESTMapper()
	options.ByObject = nil
	options.DefaultLabelSelector = labels.NewSelector().Add(*exists, *other)
	owned, err := cache.New(mgr.GetConfig(), options)
	if err != nil {
		return nil, fmt.Errorf("cache of Secrets of ours: %w", err)
	}
	return owned, mgr.Add(owned)
}
