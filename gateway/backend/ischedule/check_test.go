package ischedule_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/backend"
	backendischedule "github.com/calfed/calfed/gateway/backend/ischedule"
	"github.com/calfed/calfed/gateway/cua"
	"github.com/calfed/calfed/gateway/ischedule"
)

var _ backend.Tester = (*backendischedule.Backend)(nil)

func TestCheckSaysHowFarItCame(t *testing.T) {
	capabilities := (&ischedule.Capabilities{Serial: 7, Versions: []string{"1.0"}}).Marshal()
	respond := func(status ischedule.RequestStatus) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				ischedule.WriteDocument(w, http.StatusOK, capabilities)
				return
			}
			(&ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: "mailto:alice@example.org", Status: status}}}).Write(w)
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    []string
	}{
		"a known user":         {respond(ischedule.StatusDelivered), []string{"connect ok", "ask free/busy ok", "write an event skipped"}},
		"an unknown user":      {respond(ischedule.StatusUnknownUser), []string{"connect ok", "ask free/busy failed", "write an event skipped"}},
		"nothing at this path": {http.NotFound, []string{"connect failed", "ask free/busy skipped", "write an event skipped"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := server(t, "/ischedule", tc.handler)
			var got []string
			for _, c := range b.Test(context.Background(), cua.MustParse("mailto:alice@example.org")) {
				verdict := map[bool]string{true: "ok", false: "failed"}[c.OK]
				if c.Skipped {
					verdict = "skipped"
				}
				got = append(got, c.Name+" "+verdict)
				if verdict == "failed" && (c.Seen == "" || c.Cause == "") {
					t.Errorf("%+v says too little", c)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whether the server is there can be asked without a user, and no message is sent.
//
// Proves: IS-BACK-3
func TestReach(t *testing.T) {
	status := http.StatusOK
	b := server(t, "/ischedule", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("a %s", r.Method)
		}
		ischedule.WriteDocument(w, status, (&ischedule.Capabilities{Serial: 7, Versions: []string{"1.0"}}).Marshal())
	})
	if c := b.Reach(context.Background()); !c.OK {
		t.Errorf("%+v", c)
	}
	status = http.StatusNotFound
	if c := b.Reach(context.Background()); c.OK || c.Seen != "HTTP status 404" || c.Cause == "" {
		t.Errorf("%+v", c)
	}
}
