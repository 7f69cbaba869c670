package controllers

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// What the manual says about a restored backup of etcd: Secrets are as they were then, by the same UIDs, and pods refuse the
// index. Without it, an operator that starts makes another, which pods take whatever its serial (secretsource tests that), and
// what peers see of it goes on above all that they saw.
//
// Proves: IS-CAP-2
func TestABackupIsRestored(t *testing.T) {
	w := newWorld(t, kubetest.Shared(t))
	w.make(w.plainDomain("example.org"))
	o := w.operator(Options{})
	w.serves(patience, "example.org")
	backup := w.parts(t.Context())
	recipients := func(n int32) {
		edit(w, &v1alpha1.FederationGateway{ObjectMeta: w.meta("edge")}, func(g *v1alpha1.FederationGateway) {
			g.Spec.Capabilities = &v1alpha1.Capabilities{MaxRecipients: &n}
		})
	}
	var seen uint64 // of capabilities
	for n := range int32(3) {
		recipients(7 + n)
		seen = w.capabilities(int(7 + n))
	}
	edit(w, w.plainDomain("example.org"), func(d *v1alpha1.FederatedDomain) { d.Spec.Backend.ISchedule.URL = "https://other.example.org/" })
	before := w.waitServed(patience, func(s *snapshot.Snapshot) string {
		if url := s.Domains[0].Backend.ISchedule.URL; url != "https://other.example.org/" {
			return url
		}
		return ""
	})
	o.stop()

	t.Log("the backup is restored, and the manual followed")
	for name, old := range backup {
		edit(w, &corev1.Secret{ObjectMeta: w.meta(name)}, func(s *corev1.Secret) { s.Data, s.Annotations = old.Data, old.Annotations })
	}
	recipients(8) // as Git has it
	w.delete(&corev1.Secret{ObjectMeta: w.meta(snapshot.IndexName("edge"))})
	w.operator(Options{Clock: testingclock.NewFakeClock(time.Now().Add(time.Hour))})
	after := w.waitServed(patience, func(s *snapshot.Snapshot) string {
		if s.Gateway.Capabilities.MaxRecipients != 8 || s.Domains[0].Backend.ISchedule.URL != "https://other.example.org/" {
			return fmt.Sprintf("recipients %d, back end %s", s.Gateway.Capabilities.MaxRecipients, s.Domains[0].Backend.ISchedule.URL)
		}
		return ""
	})
	if uid := w.parts(t.Context())[snapshot.IndexName("edge")].UID; uid == backup[snapshot.IndexName("edge")].UID {
		t.Error("the index is the same Secret: pods refuse it")
	}
	if after.Serial >= before.Serial {
		t.Errorf("serial %d after %d: this test shows nothing of a serial that goes back", after.Serial, before.Serial)
	}
	if serial := after.Gateway.Capabilities.Serial; serial <= seen {
		t.Errorf("the serial of the capabilities went from %d to %d", seen, serial)
	}
}
