//go:build interop

package operator_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
)

var whole = flag.Bool("whole", false, "follow the rotation to its end, the withdrawal of the old record: 12 minutes")

// Two organisations: west signs with a key that the operator leads, east verifies, and keeps keys as long as their records
// say, an hour.
const (
	aSide = `
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederationGateway
metadata: {name: gw, namespace: {side}}
spec:
  host: {side}-gw.example.org
  tls: {type: Secret, secret: {name: tls}}
  replicas: 2
  egress: {peerCIDRs: [127.0.0.0/8], backendCIDRs: [127.0.0.0/8], resolver: "{ns}:53", caBundleRef: {kind: Secret, name: ca, key: ca.crt}}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: PeerPolicy
metadata: {name: {other}, namespace: {side}}
spec: {peers: [{other}.example.org], action: Allow}
---
apiVersion: federation.calfed.dev/v1alpha1
kind: FederatedDomain
metadata: {name: {side}, namespace: {side}}
spec:
  domain: {side}.example.org
  gatewayRef: {name: gw}
  backend: {type: ISchedule, iSchedule: {url: "{backend}/ischedule"}}
  publish: {type: RFC2136, rfc2136: {server: ns1.example.org, tsig: {keyName: calfed, secretRef: {name: tsig, key: key}}}}
`
	// alsoSends is what a side has beside that which also sends; its domain goes on.
	alsoSends = `  signing: {keys: [{name: key}], signatureLifetime: 1m}
  submitters: [{name: calendar, tokenRef: {name: token, key: token}}]
---
apiVersion: federation.calfed.dev/v1alpha1
kind: DKIMKey
metadata: {name: key, namespace: {side}}
spec:
  domain: {side}.example.org
  source:
    type: Generated
    generated: {rotation: {publishBefore: 0s, retireAfter: 0s}}
`
)

// A key is replaced while messages flow, from the first look at the new record to the withdrawal of the old one (-whole): every
// message of every moment is verified and delivered.
func TestKeysRotateUnderTraffic(t *testing.T) {
	w := newWorld(t)
	eastLB := strings.Replace(w.lbIP, "127.72.", "127.73.", 1)
	w.Set(t, "west-gw.example.org", "A", w.lbIP)
	w.Set(t, "east-gw.example.org", "A", eastLB)
	calendar := httptest.NewServer(http.HandlerFunc(takesAll))
	t.Cleanup(calendar.Close)
	for _, side := range []string{"west", "east"} {
		w.namespace(side)
		w.Certificate(t, side, "tls", side+"-gw.example.org")
		w.Secret(t, side, "ca", map[string]string{"ca.crt": string(w.CA.PEM())})
		w.Secret(t, side, "tsig", map[string]string{"key": tsig})
	}
	w.Secret(t, "west", "token", map[string]string{"token": "0123456789abcdef"})
	w.balance(w.lbIP, "west", "gw")
	w.balance(eastLB, "east", "gw")
	manifest := strings.NewReplacer("{side}", "west", "{other}", "east").Replace(aSide+alsoSends) + strings.NewReplacer("{side}", "east", "{other}", "west").Replace(aSide)
	w.cluster.Kubectl(t, strings.NewReplacer("{ns}", w.nsIP, "{backend}", calendar.URL).Replace(manifest), "apply", "-f", "-")
	w.until("every resource is Ready", func() string {
		return strings.Join(w.NotReady(context.Background()), "\n")
	}, func(ctx context.Context) bool { return len(w.NotReady(ctx)) == 0 })

	name := client.ObjectKey{Namespace: "west", Name: "key"}
	state := func(ctx context.Context) v1alpha1.DKIMKeyStatus {
		var key v1alpha1.DKIMKey
		if err := w.Client.Get(ctx, name, &key); err != nil {
			t.Error(err)
		}
		return key.Status
	}
	first := state(t.Context()).ActiveSelector

	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	var mu sync.Mutex
	sent, failed := 0, []string{}
	for worker := range 2 {
		sending.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				pods := w.Pods(context.Background(), "west", "gw")
				answer := submit(pods[i%len(pods)], fmt.Sprintf("uid-%d-%d", worker, i))
				mu.Lock()
				sent++
				if !strings.Contains(answer, "request-status>2.0;") {
					failed = append(failed, answer)
				}
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond): // the pace of the traffic
				}
			}
		})
	}
	w.cluster.Kubectl(t, "", "-n", "west", "annotate", "dkey/key", v1alpha1.AnnotationRotate+"=now")
	w.until("another key signs", func() string { return fmt.Sprintf("%+v", state(context.Background())) }, func(ctx context.Context) bool {
		now := state(ctx).ActiveSelector
		return now != "" && now != first
	})
	mu.Lock()
	atSwitch := sent
	mu.Unlock()
	until := func(what string, n int) {
		w.until(what, func() string { return "" }, func(context.Context) bool {
			mu.Lock()
			defer mu.Unlock()
			return sent >= n
		})
	}
	until("messages flow on", atSwitch+100)
	if *whole {
		// five minutes for what was signed to expire, five of skew
		w.within(14*time.Minute, "the old key's record is withdrawn", func() string { return fmt.Sprintf("%+v", state(context.Background())) }, func(context.Context) bool {
			return len(w.DNS.Records(first+"._domainkey.west.example.org", "TXT")) == 0
		})
		mu.Lock()
		withdrawn := sent
		mu.Unlock()
		until("messages flow on", withdrawn+100)
	}
	stop()
	sending.Wait()
	t.Logf("%d messages: %d until the new key signed, %d from then on; %d failed", sent, atSwitch, sent-atSwitch, len(failed))
	if len(failed) > 0 {
		t.Errorf("the first failure: %s", failed[0])
	}
	if atSwitch == 0 {
		t.Error("there was no traffic before the switch")
	}
}

// takesAll is a calendar server that takes every message.
func takesAll(rw http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	rw.Header().Set("Content-Type", "application/xml; charset=utf-8")
	_, _ = fmt.Fprintf(rw, `<?xml version="1.0" encoding="utf-8"?><schedule-response xmlns="urn:ietf:params:xml:ns:ischedule"><response><recipient>%s</recipient><request-status>2.0;Success</request-status></response></schedule-response>`,
		req.Header.Get("Recipient"))
}

// submit hands an invitation to a pod and returns the answer.
func submit(pod, uid string) string {
	stamp := time.Now().UTC().Format("20060102T150405Z")
	body := strings.ReplaceAll(`BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:`+uid+`
DTSTAMP:`+stamp+`
DTSTART:20270101T100000Z
DTEND:20270101T110000Z
SUMMARY:Rotation
ORGANIZER:mailto:alice@west.example.org
ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob@east.example.org
END:VEVENT
END:VCALENDAR
`, "\n", "\r\n")
	req, err := http.NewRequest(http.MethodPost, "http://"+pod+":8080/", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "text/calendar; component=VEVENT; method=REQUEST; charset=utf-8")
	req.Header.Set("iSchedule-Version", "1.0")
	req.Header.Set("Originator", "mailto:alice@west.example.org")
	req.Header.Set("Recipient", "mailto:bob@east.example.org")
	req.Header.Set("Authorization", "Bearer 0123456789abcdef")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.Status + " " + string(answer)
}
