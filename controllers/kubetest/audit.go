package kubetest

import (
	"bufio"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules: [{level: Metadata}]
`

// Request is one kind of request that a user made: what an RBAC rule would allow. To apply what is not there yet takes two rules,
// and is two of them: patch and create.
type Request struct{ User, Verb, Group, Resource, Subresource, Namespace, Name string }

// Requests returns the different requests since the start, from the audit log, in order. It needs Options.Audit. Refused ones are
// among them, and a watch is from its first answer on; what names no resource (/healthz) is not.
func (c *Cluster) Requests(t testing.TB) []Request {
	t.Helper()
	file, err := os.Open(c.path("audit.log"))
	if err != nil {
		t.Fatalf("audit log: %v", err)
	}
	defer file.Close()
	seen := map[Request]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			continue // the last line, half written
		}
		if r := e.ObjectRef; r != nil && r.Resource != "" {
			request := Request{e.User.Username, e.Verb, r.APIGroup, r.Resource, r.Subresource, r.Namespace, r.Name}
			seen[request] = true
			if e.Verb == "patch" && e.ResponseStatus != nil && e.ResponseStatus.Code == http.StatusCreated {
				request.Verb = "create"
				seen[request] = true
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("audit log: %v", err)
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b Request) int {
		return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.Group, b.Group), strings.Compare(a.Resource, b.Resource),
			strings.Compare(a.Subresource, b.Subresource), strings.Compare(a.Verb, b.Verb),
			strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}
