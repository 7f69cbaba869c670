// Package controllers is the control plane: it reconciles resources into snapshots, gateway pods, signing keys and DNS
// records, and says in each object's status what became of it.
//
// One file a reconciler, each level-based and idempotent: snapshot.go compiles and writes what pods serve, federationgateway.go makes
// the pods and what they need, dkimkey.go leads keys through their life, federateddomain.go publishes and looks from outside,
// peerpolicy.go tells. What became of an object while compiling travels by the board. README.md is the manual.
package controllers

import (
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Setup adds all reconcilers to a manager.
func Setup(mgr manager.Manager, opt Options) error { panic("not written yet") }
