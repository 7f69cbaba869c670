package secretsource_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/infra"
	"github.com/calfed/calfed/controllers/kubetest"
	"github.com/calfed/calfed/gateway/dkim"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
)

const gatewayName = "edge"

// plane is the control plane of one gateway: it writes Secrets as the manager does, and as nobody should.
type plane struct {
	t         testing.TB
	cluster   *kubetest.Cluster
	namespace string
	ca        *catest.CA

	index  snapshot.Index
	shards map[int]*snapshot.Shard
}

// newPlane makes a namespace with the ServiceAccount that pods have, its Role, and nothing else.
func newPlane(t testing.TB, cluster *kubetest.Cluster) *plane {
	t.Helper()
	p := &plane{t: t, cluster: cluster, namespace: cluster.Namespace(t), ca: testCA(), shards: map[int]*snapshot.Shard{}}
	gw := &v1alpha1.FederationGateway{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: gatewayName, UID: "uid"}}
	objects, err := infra.Objects(gw, infra.Facts{})
	check(t, err)
	for _, o := range objects {
		if slices.Contains([]string{"ServiceAccount", "Role", "RoleBinding"}, o.Kind.Kind) {
			o.Apply.SetOwnerReferences(nil) // its gateway is not there
			check(t, cluster.Client.Create(context.Background(), o.Apply))
		}
	}
	p.index.Gateway = p.gateway()
	return p
}

var testCA = sync.OnceValue(func() *catest.CA {
	ca, err := catest.New()
	if err != nil {
		panic(err)
	}
	return ca
})

func (p *plane) gateway() snapshot.Gateway {
	p.t.Helper()
	leaf, err := p.ca.Issue(catest.Leaf{DNS: []string{"gw.example.org"}})
	check(p.t, err)
	certificate, key, err := catest.EncodePEM(leaf)
	check(p.t, err)
	return snapshot.Gateway{
		Name: p.namespace + "/" + gatewayName, Host: "gw.example.org", TLS: snapshot.KeyPair{Certificate: certificate, Key: key}, DefaultAction: snapshot.Deny,
		Capabilities: ischedule.Capabilities{
			Serial: 7, Versions: []string{ischedule.Version}, MaxContentLength: 1 << 20, MaxInstances: 1000, MaxRecipients: 100,
			Messages:      []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST", "REPLY", "CANCEL"}}},
			DataTypes:     []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
			MinDateTime:   time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
			MaxDateTime:   time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
			Administrator: "mailto:postmaster@example.org",
		},
		Limits: snapshot.Limits{
			MaxConnections: 200, MaxConnsPerSource: 200, RequestsPerSource: 10000, KeyLookupsPerSource: 10, KeyLookupsPerDomain: 10, KeyLookups: 100,
			MaxHeaderBytes: 32 << 10, MaxInFlightBytes: 8 << 20, HeaderTimeout: 10 * time.Second, BodyTimeout: 10 * time.Second, DeliveryTimeout: 10 * time.Second,
		},
	}
}

// domain is one with a key of its own: record is what /.well-known/domainkey says of it.
func (p *plane) domain(name string, state byte) (d snapshot.Domain, record string) {
	p.t.Helper()
	seed := sha256.Sum256(append([]byte(name), state))
	private := ed25519.NewKeyFromSeed(seed[:])
	pem, err := dkim.MarshalPrivateKey(private)
	check(p.t, err)
	record, err = dkim.FormatRecord(private.Public(), false)
	check(p.t, err)
	return snapshot.Domain{
		Name: name, Source: p.namespace + "/" + name,
		Signing: snapshot.Signing{Keys: []snapshot.Key{{Source: "k", Domain: name, Selector: "cal", Private: pem, Record: record}}},
		Backend: snapshot.Backend{Type: snapshot.BackendISchedule, ISchedule: &snapshot.ISchedule{URL: "http://127.0.0.1:8008/ischedule"}},
	}, record
}

// set puts domains into their shards; write brings them out.
func (p *plane) set(domains ...snapshot.Domain) (changed []int) {
	p.t.Helper()
	for _, d := range domains {
		number := snapshot.ShardOf(d.Name)
		s := &snapshot.Shard{Number: number}
		if old := p.shards[number]; old != nil {
			s.Domains = slices.DeleteFunc(slices.Clone(old.Domains), func(o snapshot.Domain) bool { return o.Name == d.Name })
		}
		s.Domains = append(s.Domains, d)
		s.Serial = p.index.Serial + 1
		p.shards[number] = s
		changed = append(changed, number)
	}
	return changed
}

// serve makes the domains served, beside those before: changed shards first, the index last.
func (p *plane) serve(domains ...snapshot.Domain) {
	p.t.Helper()
	for _, number := range p.set(domains...) {
		p.writeShard(number)
	}
	p.writeIndex()
}

func (p *plane) writeShard(number int) {
	p.t.Helper()
	raw, err := snapshot.EncodeShard(p.shards[number])
	check(p.t, err)
	p.put(snapshot.ShardName(gatewayName, number), snapshot.ShardKey, raw)
}

func (p *plane) writeIndex() {
	p.t.Helper()
	p.index.Serial++
	p.put(snapshot.IndexName(gatewayName), snapshot.IndexKey, p.encodedIndex())
}

func (p *plane) encodedIndex() []byte {
	p.t.Helper()
	p.index.Shards = nil
	for number := range snapshot.Shards {
		if s := p.shards[number]; s != nil {
			_, err := snapshot.EncodeShard(s) // for its hash
			check(p.t, err)
			p.index.Shards = append(p.index.Shards, s.Ref())
		}
	}
	raw, err := snapshot.EncodeIndex(&p.index)
	check(p.t, err)
	return raw
}

// put writes a Secret, whatever it was before.
func (p *plane) put(name, key string, value []byte) {
	p.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name}, Data: map[string][]byte{key: value}}
	err := p.cluster.Client.Update(context.Background(), secret)
	if apierrors.IsNotFound(err) {
		err = p.cluster.Client.Create(context.Background(), secret)
	}
	check(p.t, err)
}

func (p *plane) remove(name string) {
	p.t.Helper()
	check(p.t, p.cluster.Client.Delete(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name}}))
}

func (p *plane) uid() string {
	p.t.Helper()
	var index corev1.Secret
	check(p.t, p.cluster.Client.Get(context.Background(), client.ObjectKey{Namespace: p.namespace, Name: snapshot.IndexName(gatewayName)}, &index))
	return string(index.UID)
}

// apart are domains of different shards.
func apart(n int) (names []string) {
	taken := map[int]bool{}
	for i := 0; len(names) < n; i++ {
		name := fmt.Sprintf("d%d.example", i)
		if number := snapshot.ShardOf(name); !taken[number] {
			taken[number] = true
			names = append(names, name)
		}
	}
	return names
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for cond.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// logged is a log that can be searched.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}
