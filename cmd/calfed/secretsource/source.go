// Package secretsource feeds a gateway with the snapshots that the control plane writes into Secrets: it watches the index,
// fetches the shards that changed, puts them together and has the gateway apply them.
//
// It needs get, list and watch on the Secret with the index, get on those with the shards, each by name, and nothing else. What
// was applied last is kept in a folder, so that a restarted process serves at once, also while there is no API server. What is
// refused changes nothing: the log, /readyz, the metrics and Status say so.
package secretsource

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/calfed/calfed/gateway"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

// Config of a Source.
type Config struct {
	REST      *rest.Config // of the API server
	Namespace string
	Name      string // of the FederationGateway
	Gateway   *gateway.Gateway
	Folder    string       // where the last good snapshot is kept; it exists, and is readable by its owner only
	Log       *slog.Logger // nil = discard
}

// Source is the way of snapshots into one gateway. Status may be called at any time.
type Source struct {
	cfg     Config
	log     *slog.Logger
	http    *http.Client
	secrets corev1client.SecretInterface
	metrics *metrics
	kept    *kept

	mu       sync.Mutex
	newest   *corev1.Secret // the index as the API server has it
	served   served
	rejected []refusal
	blind    string        // why the index cannot be watched, "" = it is
	arrived  chan struct{} // has something in it when newest has changed

	patience time.Duration
	parts    map[int]*part // the last of each shard that could be read; of the one that works alone
}

// served is what the gateway serves; the zero value is nothing.
type served struct {
	uid    string
	serial uint64
	index  [sha256.Size]byte
	shards []snapshot.ShardRef
}

// part is a shard as it was read, and as it came.
type part struct {
	*snapshot.Shard
	raw []byte // nil once it is kept
}

// New makes a Source. It connects to nothing.
func New(cfg Config) (*Source, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	config := rest.CopyConfig(cfg.REST)
	config.QPS = -1 // there is a bound of our own: atOnce
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	core, err := corev1client.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	return &Source{
		cfg: cfg, log: cfg.Log, http: client, secrets: core.Secrets(cfg.Namespace),
		metrics: newMetrics(cfg.Gateway.Registerer()), kept: &kept{dir: cfg.Folder},
		arrived: make(chan struct{}, 1), patience: patience, parts: map[int]*part{},
	}, nil
}

// Restore has the gateway serve what was kept. Call it before Run; it says in the log what it did.
func (s *Source) Restore() {
	last, err := s.kept.load(s.gatewayName())
	switch {
	case err != nil:
		err = errors.Join(err, s.kept.clean(nil)) // the next one is written whole
	case last == nil:
		return
	default:
		err = s.apply(last)
	}
	if err != nil {
		s.log.Error("the last good snapshot cannot be served", "reason", "last-good", "error", err)
		return
	}
	s.log.Info("serving the last good snapshot until the control plane says otherwise", "serial", last.index.Serial)
}

// Run takes over snapshots until ctx ends. Run may be called once.
func (s *Source) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.watch(ctx) })
	running.Go(func() { s.work(ctx) })
	running.Wait()
	utilnet.CloseIdleConnectionsFor(s.http.Transport)
}

// Status says what is served, and what of the newest index was refused.
func (s *Source) Status() snapshot.PodStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := snapshot.PodStatus{IndexUID: s.served.uid, Serial: s.served.serial, Shards: slices.Clone(s.served.shards), Blind: s.blind}
	for _, r := range s.rejected[:min(len(s.rejected), maxRejected)] {
		out.Rejected = append(out.Rejected, snapshot.Rejection{Secret: r.secret, Serial: r.serial, Problem: ischedule.OneLine(r.Error(), maxProblem)})
	}
	return out
}

// Bounds of a PodStatus.
const (
	maxRejected = 16
	maxProblem  = 500 // octets
)

// gatewayName is how a snapshot names the gateway.
func (s *Source) gatewayName() string { return s.cfg.Namespace + "/" + s.cfg.Name }

// candidate is a snapshot in its parts.
type candidate struct {
	uid   string
	raw   []byte // the index as it came
	index *snapshot.Index
	parts []*part
}

// apply puts the parts together and has the gateway serve them.
func (s *Source) apply(c *candidate) error {
	shards := make([]*snapshot.Shard, len(c.parts))
	refs := make([]snapshot.ShardRef, len(c.parts))
	for i, p := range c.parts {
		shards[i], refs[i] = p.Shard, p.Ref()
	}
	whole, err := snapshot.Assemble(c.index, shards)
	if err != nil {
		return err
	}
	if err := s.cfg.Gateway.Apply(whole); err != nil {
		return err
	}
	parts := make(map[int]*part, len(c.parts)) // those of domains that are gone go
	for _, p := range c.parts {
		parts[p.Number] = p
	}
	s.parts = parts
	s.mu.Lock()
	s.served = served{c.uid, c.index.Serial, sha256.Sum256(c.raw), refs}
	s.mu.Unlock()
	s.metrics.serial.Set(float64(c.index.Serial))
	return nil
}

// checkName keeps the snapshot of another gateway away.
func checkName(x *snapshot.Index, name string) error {
	if x.Gateway.Name != name {
		return fmt.Errorf("it is that of gateway %q", x.Gateway.Name)
	}
	return nil
}
