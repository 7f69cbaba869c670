package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/pods"
	"github.com/calfed/calfed/controllers/podtls"
)

// askers are the clients with which pods are asked, one a gateway. Safe for concurrent use.
type askers struct {
	d *deps

	mu   sync.Mutex
	kept map[types.NamespacedName]*asker
}

// asker is the client for a gateway, with what it was made of.
type asker struct {
	*pods.Client
	version   string // of the Secret with the authority
	authority podtls.Authority
	shown     []byte // certificate
}

func newAskers(d *deps) *askers {
	return &askers{d: d, kept: map[types.NamespacedName]*asker{}}
}

// client returns the client for the pods of a gateway; the error says "unreachable: …".
func (a *askers) client(ctx context.Context, gateway types.NamespacedName) (*pods.Client, error) {
	name := types.NamespacedName{Namespace: gateway.Namespace, Name: infra.StatusCASecret(gateway.Name)}
	secret, err := a.d.secrets.Secret(ctx, name)
	if err != nil {
		return nil, explainMissing(err, name.Name)
	}
	version := string(secret.UID) + "/" + secret.ResourceVersion
	now := a.d.Clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.kept[gateway]
	if old != nil && old.version == version && now.Before(old.authority.RenewAfter(old.shown)) {
		return old.Client, nil
	}
	made := &asker{version: version, authority: podtls.Authority{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}}
	pair, err := made.authority.Client(now)
	if err != nil {
		return nil, fmt.Errorf("unreachable: Secret %s: %w", name.Name, err)
	}
	made.shown = pair.Certificate
	if made.Client, err = pods.NewClient(gateway.Namespace, gateway.Name, made.authority.Certificate, pair); err != nil {
		return nil, fmt.Errorf("unreachable: Secret %s: %w", name.Name, err)
	}
	if old != nil {
		old.Close()
	}
	a.kept[gateway] = made
	return made.Client, nil
}

// forget closes the client of a gateway that is gone.
func (a *askers) forget(gateway types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.kept[gateway]; old != nil {
		old.Close()
		delete(a.kept, gateway)
	}
}
