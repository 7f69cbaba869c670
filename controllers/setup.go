// Package controllers is the control plane: it reconciles resources into snapshots, gateway pods, signing keys and DNS
// records, and says in each object's status what became of it.
//
// One file a reconciler, each level-based and idempotent: snapshot.go compiles and writes what pods serve, federationgateway.go makes
// the pods and what they need, dkimkey.go leads keys through their life, federateddomain.go publishes and looks from outside,
// peerpolicy.go tells. What became of an object while compiling travels by the board. README.md is the manual.
package controllers

import (
	"fmt"

	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/calfed/calfed/controllers/board"
)

// deps is what the reconcilers share. mgr.GetClient() reads from caches, save Secrets and ConfigMaps, which it reads from the
// API server: secrets and owned are the ways to read those.
type deps struct {
	Options // Clock and Log are set
	board   *board.Board
	secrets *contents   // of Secrets and ConfigMaps that objects refer to
	owned   cache.Cache // whole Secrets with the label calfed.dev/owned (keylife.LabelOwned), save those of snapshots
	events  events.EventRecorder
	// backendAskers have gateway pods try back ends. That takes long, and keeps nobody waiting who asks what they serve.
	backendAskers *askers
}

// Setup adds all reconcilers to a manager that was made with ManagerOptions.
func Setup(mgr manager.Manager, opt Options) error {
	d, err := newDeps(mgr, opt)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name  string
		setup func(manager.Manager, *deps) error
	}{
		{"snapshot", setupSnapshot},
		{"federationgateway", setupFederationGateway},
		{"dkimkey", setupDKIMKey},
		{"federateddomain", setupFederatedDomain},
		{"peerpolicy", setupPeerPolicy},
	} {
		if err := part.setup(mgr, d); err != nil {
			return fmt.Errorf("set up %s: %w", part.name, err)
		}
	}
	return nil
}
