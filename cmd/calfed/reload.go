package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/calfed/calfed/controllers/manifests"
	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/snapshot"
)

// reloader turns the manifests into the snapshot that is served. What has an error is refused whole: a typing mistake in one
// object must not take a domain off the air, which leaving the object out would.
type reloader struct {
	paths   []string
	name    string // of the FederationGateway; "" = the only one
	dir     stateDir
	gateway *gateway.Gateway
	log     *slog.Logger
}

// start loads for the first time: the manifests or, when they have an error, the snapshot that served last. Without
// either it fails, and every problem has been printed.
func (r *reloader) start(now time.Time) error {
	problem := r.apply(now)
	if problem == nil {
		return nil
	}
	last, err := r.dir.lastGood()
	if err != nil {
		r.log.Error("the last good configuration cannot be read", "error", err)
	}
	if last == nil {
		return fmt.Errorf("%w, and there is no earlier configuration to serve", problem)
	}
	if !named(last.Gateway.Name, r.name) {
		return fmt.Errorf("%w, and the last good configuration is of another gateway, %s", problem, last.Gateway.Name)
	}
	if err := r.gateway.Apply(last); err != nil {
		return fmt.Errorf("%w, and the last good configuration is refused too: %w", problem, err)
	}
	r.refused(problem, last)
	return nil
}

// reload takes over changed manifests; with an error in them, what is served stays.
func (r *reloader) reload(now time.Time) {
	if problem := r.apply(now); problem != nil {
		r.refused(problem, nil)
	}
}

// refused says loudly that something older is served.
func (r *reloader) refused(problem error, last *snapshot.Snapshot) {
	r.gateway.Stale(problem.Error())
	if last != nil {
		r.log.Error("the manifests are refused: serving the configuration of the last run", "reason", problem, "gateway", last.Gateway.Name,
			"capabilities-serial", last.Gateway.Capabilities.Serial)
		return
	}
	r.log.Error("the manifests are refused: the configuration served stays", "reason", problem)
}

// apply compiles the manifests and serves them. The error says in a line why not; the problems have been reported one
// by one.
func (r *reloader) apply(now time.Time) error {
	prior, err := r.dir.capabilities()
	if err != nil {
		return err
	}
	c, err := compileManifests(r.paths, prior, now)
	if err != nil {
		return err
	}
	for _, p := range c.problems {
		r.report(p)
	}
	if n := c.errors(); n > 0 {
		return fmt.Errorf("%s in the manifests", count(n, "error"))
	}
	out, err := c.gateway(r.name)
	if err != nil {
		return err
	}
	// IS-CAP-2: the serial is kept before anyone can see it, so that it can never be given out twice
	if err := r.dir.saveCapabilities(out.Capabilities); err != nil {
		return fmt.Errorf("the capability serial cannot be kept: %w", err)
	}
	if err := r.gateway.Apply(out.Snapshot); err != nil {
		return err
	}
	if err := r.dir.saveLastGood(out.Snapshot); err != nil {
		r.log.Error("the configuration cannot be kept for the next start", "error", err)
	}
	return nil
}

func (r *reloader) report(p manifests.Problem) {
	level := slog.LevelWarn
	if p.Severity == manifests.SeverityError {
		level = slog.LevelError
	}
	r.log.Log(context.Background(), level, "manifest problem", "file", p.File, "line", p.Line, "object", p.Object, "field", p.Field, "problem", p.Message)
}
