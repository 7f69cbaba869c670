package compile_test

import (
	"testing"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
)

// The serial starts at the Unix time, stays while the effective document stays, and grows by one when it changes.
//
// Proves: IS-CAP-2
func TestCapabilitySerial(t *testing.T) {
	t.Parallel()
	in, _ := readInput(t, "gateway-minimal")
	serial := func(out compile.Output) uint64 {
		t.Helper()
		if out.Snapshot == nil {
			t.Fatalf("not compiled: %v", out.Findings)
		}
		if got := out.Snapshot.Gateway.Capabilities.Serial; got != out.Capabilities.Serial {
			t.Fatalf("the document says %d, the state %d", got, out.Capabilities.Serial)
		}
		return out.Capabilities.Serial
	}
	next := func(in compile.Input, change func(*v1alpha1.FederationGatewaySpec), prior compile.CapabilityState) compile.Output {
		gw := in.Gateway.DeepCopy()
		change(&gw.Spec)
		in.Gateway, in.Prior, in.Now = gw, prior, in.Now.Add(time.Hour)
		return compile.Compile(in)
	}

	first := compile.Compile(in)
	if got, want := serial(first), uint64(now.Unix()); got != want {
		t.Fatalf("first serial %d, want the Unix time %d", got, want)
	}
	same := next(in, func(s *v1alpha1.FederationGatewaySpec) {
		s.DefaultPolicy = v1alpha1.ActionAllow // no part of the document
		s.Capabilities = &v1alpha1.Capabilities{Administrator: "mailto:postmaster@gw.example.org"}
	}, first.Capabilities)
	if serial(same) != serial(first) {
		t.Errorf("the document is the same, its serial went from %d to %d", serial(first), serial(same))
	}
	changed := next(in, func(s *v1alpha1.FederationGatewaySpec) {
		s.Capabilities = &v1alpha1.Capabilities{MaxRecipients: new(int32(50))}
	}, same.Capabilities)
	if serial(changed) != serial(first)+1 {
		t.Errorf("after a change the serial is %d, want %d", serial(changed), serial(first)+1)
	}
	back := next(in, func(*v1alpha1.FederationGatewaySpec) {}, changed.Capabilities)
	if serial(back) != serial(first)+2 {
		t.Errorf("after a change back the serial is %d, want %d", serial(back), serial(first)+2)
	}
}

func TestGatewayThatFailsKeepsItsState(t *testing.T) {
	t.Parallel()
	in, _ := readInput(t, "gateway-mistakes")
	in.Prior = compile.CapabilityState{Serial: 7, Digest: "d"}
	if out := compile.Compile(in); out.Snapshot != nil || out.Capabilities != in.Prior {
		t.Errorf("snapshot %v, state %+v; want none, and %+v", out.Snapshot, out.Capabilities, in.Prior)
	}
}

func TestNoGatewayIsNoSnapshot(t *testing.T) {
	t.Parallel()
	if out := compile.Compile(compile.Input{}); out.Snapshot != nil || len(out.Findings) != 0 {
		t.Errorf("got %+v", out)
	}
}

func TestTimesAreWrittenInUTC(t *testing.T) {
	t.Parallel()
	in, _ := readInput(t, "gateway-every-field")
	caps := compile.Compile(in).Snapshot.Gateway.Capabilities
	if caps.MinDateTime.Location() != time.UTC || caps.MaxDateTime.Location() != time.UTC {
		t.Errorf("min %v, max %v", caps.MinDateTime, caps.MaxDateTime)
	}
}
