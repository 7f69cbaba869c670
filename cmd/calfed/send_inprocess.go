package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/calfed/calfed/controllers/compile"
	"github.com/calfed/calfed/controllers/manifests"
	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/discovery"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/sender"
	"github.com/calfed/calfed/gateway/snapshot"
)

// sendInProcess compiles the folders and sends as a gateway with that configuration would. When a recipient does not get
// the message, what a gateway would log goes to diary: it says why.
func sendInProcess(ctx context.Context, dirs []string, req *ischedule.Request, diary io.Writer) (*ischedule.Response, error) {
	active, err := activate(dirs, req.Originator.Domain())
	if err != nil {
		return nil, err
	}
	var log bytes.Buffer
	p, err := newSendingParts(active, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	if err != nil {
		return nil, err
	}
	defer p.close()
	domain, _ := active.Domain(req.Originator.Domain())
	answer, refusal := p.sender.Send(ctx, &sender.Submission{Submitter: "calfed", Domain: domain, Request: req})
	if refusal != nil || slices.ContainsFunc(answer.Results, func(r ischedule.RecipientResult) bool { return !r.Status.Success() }) {
		_, _ = log.WriteTo(diary)
	}
	if refusal != nil {
		return nil, refusal
	}
	return answer, nil
}

// withoutTime drops from a log line what a person at a prompt knows.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// activate compiles folders and returns the configuration of the gateway that serves domain.
func activate(dirs []string, domain string) (*snapshot.Active, error) {
	c, err := compileManifests(dirs, compile.CapabilityState{}, time.Now())
	if err != nil {
		return nil, err
	}
	for _, p := range c.problems {
		if p.Severity == manifests.SeverityError {
			return nil, fmt.Errorf("%s in --manifests, see calfed lint; the first: %s", count(c.errors(), "error"), p)
		}
	}
	for _, out := range c.outputs {
		if out.Snapshot == nil {
			continue
		}
		active, err := snapshot.Activate(out.Snapshot)
		if err != nil {
			return nil, err
		}
		if _, serves := active.Domain(domain); serves {
			return active, nil
		}
	}
	return nil, fmt.Errorf("no FederatedDomain in --manifests is the Originator's domain, %s", domain)
}

// sendingParts are the parts of a gateway that sending needs: it serves nobody.
type sendingParts struct {
	sender   *sender.Sender
	finder   *discovery.Discoverer
	backends *gateway.Backends
}

func newSendingParts(active *snapshot.Active, log *slog.Logger) (*sendingParts, error) {
	gw := &active.Snapshot.Gateway
	out, err := newNetwork(gw.Egress)
	if err != nil {
		return nil, err
	}
	agent := "calfed/" + version
	p := &sendingParts{}
	p.backends, err = gateway.NewBackends(gateway.BackendsConfig{Active: active, Guard: out.guard, UserAgent: agent, Log: log})
	if err != nil {
		return nil, err
	}
	p.finder = discovery.New(discovery.Config{DNS: out.dns, Guard: out.guard, Options: gw.Discovery, UserAgent: agent, Log: log})
	p.sender, err = sender.New(sender.Config{
		Active: active, Finder: p.finder, Fallback: p.backends.Fallback, UserAgent: agent, Log: log,
		// for recipients in the gateway's own domains (IS-SEND-9)
		Local: receiver.New(receiver.Config{Active: active, Backends: p.backends.ByDomain, Log: log}),
	})
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *sendingParts) close() {
	p.finder.Close()
	p.backends.Close()
}
