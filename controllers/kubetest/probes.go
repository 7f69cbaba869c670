package kubetest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probes is what the probes of a process have said.
type probes struct {
	since   time.Time // first question
	started bool
	ready   bool

	fine, failed int32 // readiness, in a row
	alive        time.Time
}

type verdict int

const (
	fine verdict = iota
	dead         // the process is to be started again
)

// ask asks the probes that are due once.
func (s *probes) ask(ctx context.Context, p *pod, c *corev1.Container) verdict {
	now := time.Now()
	if s.since.IsZero() {
		s.since, s.alive = now, now
	}
	if !s.started {
		if !p.answers(ctx, c, c.StartupProbe) {
			if now.Sub(s.since) > patienceOf(c.StartupProbe) {
				return dead
			}
			return fine
		}
		s.started, s.alive = true, now
	}
	s.countReadiness(c.ReadinessProbe, p.answers(ctx, c, c.ReadinessProbe))
	if p.isFrozen() || p.answers(ctx, c, c.LivenessProbe) {
		s.alive = time.Now()
	}
	if now.Sub(s.alive) > patienceOf(c.LivenessProbe) {
		return dead
	}
	return fine
}

func (s *probes) countReadiness(probe *corev1.Probe, ok bool) {
	if !ok {
		s.fine = 0
		if s.failed++; s.failed >= probe.FailureThreshold {
			s.ready = false
		}
		return
	}
	s.failed = 0
	if s.fine++; probe == nil || s.fine >= probe.SuccessThreshold {
		s.ready = true
	}
}

func patienceOf(probe *corev1.Probe) time.Duration {
	if probe == nil {
		return 0 // answers always
	}
	return time.Duration(probe.FailureThreshold) * time.Duration(probe.PeriodSeconds) * time.Second
}

// answers says whether a probe is content; one that is not there is.
func (p *pod) answers(ctx context.Context, c *corev1.Container, probe *corev1.Probe) bool {
	if probe == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(probe.TimeoutSeconds)*time.Second)
	defer cancel()
	return p.get(ctx, c, probe.HTTPGet) == nil
}

// get makes a request as the kubelet does, which checks no certificate.
func (p *pod) get(ctx context.Context, c *corev1.Container, action *corev1.HTTPGetAction) error {
	host := p.ip.String()
	if action.Host != "" {
		host = action.Host
	}
	url := fmt.Sprintf("%s://%s/%s", strings.ToLower(string(action.Scheme)), net.JoinHostPort(host, port(c, action.Port)), strings.TrimPrefix(action.Path, "/"))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for _, h := range action.HTTPHeaders {
		req.Header.Add(h.Name, h.Value)
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

// port returns the number of a port that may be given by its name.
func port(c *corev1.Container, p intstr.IntOrString) string {
	for _, named := range c.Ports {
		if p.Type == intstr.String && named.Name == p.StrVal {
			return fmt.Sprint(named.ContainerPort)
		}
	}
	return p.String()
}
