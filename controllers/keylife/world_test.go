package keylife_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
)

const (
	negativeTTL = 20 * time.Minute
	recordTTL   = time.Hour
)

// server is an authoritative name server: what it has at each selector, and since when.
type server struct {
	record map[string]string // selector to digest of the key
	since  map[string]time.Time
}

// pod signs with what it was given last.
type pod struct {
	version int
	signs   string
	blocked bool
}

// world is everything around one DKIMKey. real never goes back; what the operator sees of it is real+offset.
type world struct {
	t      *rapid.T
	real   time.Time
	offset time.Duration

	key     *v1alpha1.DKIMKey
	secrets map[string]*corev1.Secret
	taken   []string // what status remembers

	servers  []server
	pods     []*pod
	version  int
	compiled string // selector that signs in the newest snapshot
	stale    bool   // the newest Secrets are not compiled yet

	seen map[string]keylife.Sighting // dies with the process

	// what the rules are held against
	material   map[string][]string  // selector to the keys that ever were under it
	lastOut    map[string]time.Time // selector to when some server had a record, last
	lastSigned map[string]time.Time // likewise, when a pod signed
	signed     bool                 // some key signed once, and nothing was revoked or lost since
	jumped     bool                 // the clock went forward: waits by it prove nothing
	made       int
	uids       int
}

func (w *world) uid() types.UID {
	w.uids++
	return types.UID(fmt.Sprint(w.uids))
}

func (w *world) now() time.Time { return w.real.Add(w.offset) }

func newWorld(t *rapid.T, g v1alpha1.GeneratedKey) *world {
	w := &world{
		t: t, real: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		key: &v1alpha1.DKIMKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cal", UID: types.UID("uid")},
			Spec:       v1alpha1.DKIMKeySpec{Domain: "example.org", Source: v1alpha1.KeySource{Type: v1alpha1.KeyGenerated, Generated: &g}},
		},
		secrets:  map[string]*corev1.Secret{},
		seen:     map[string]keylife.Sighting{},
		material: map[string][]string{}, lastOut: map[string]time.Time{}, lastSigned: map[string]time.Time{},
	}
	for range 3 {
		w.servers = append(w.servers, server{map[string]string{}, map[string]time.Time{}})
	}
	for range 2 {
		w.pods = append(w.pods, &pod{})
	}
	return w
}

func (w *world) keys() []keylife.Key {
	var all []corev1.Secret
	for _, name := range slices.Sorted(maps.Keys(w.secrets)) {
		all = append(all, *w.secrets[name])
	}
	return keylife.Of(w.key, all)
}

// look is what the reconciler does at the name servers.
func (w *world) look(l keylife.Look, fails bool) {
	s := keylife.Sighting{At: w.now(), NegativeTTL: negativeTTL}
	before := w.seen[l.Key.Selector]
	if fails {
		s.Problem = "ns1 does not answer"
		w.seen[l.Key.Selector] = s
		return
	}
	want := digestOf(l.Key.Private)
	s.Here = true
	absent := true
	for _, server := range w.servers {
		got := server.record[l.Key.Selector]
		if got != "" {
			absent, s.TTL = false, recordTTL
		}
		if got == "" || got != want {
			s.Here, s.Missing, s.Problem = false, true, "ns has not got it"
		}
	}
	if absent {
		s.Absent(l.Key, before)
	}
	w.seen[l.Key.Selector] = s
}

func digestOf(private []byte) string {
	return strings.TrimPrefix(string(private), "private key ")
}

// facts as the reconciler gathers them.
func (w *world) facts() keylife.Facts {
	f := keylife.Facts{Key: w.key, Keys: w.keys(), Taken: w.taken, Seen: w.seen, Pods: map[string]keylife.Pods{}, Now: w.now()}
	for _, k := range f.Keys {
		p := keylife.Pods{Quiet: !w.stale && w.compiled != k.Selector, Blocking: "the snapshot is being written"}
		for i, pod := range w.pods {
			if pod.version != w.version {
				p = keylife.Pods{Blocking: fmt.Sprintf("pod %d", i)}
			}
		}
		f.Pods[k.Selector] = p
	}
	return f
}

// step is one pass of the reconciler; it may die before its write, or after, before its status.
func (w *world) step(dies bool) keylife.Step {
	step := keylife.Next(w.facts())
	if step.Do == keylife.Nothing {
		for _, l := range step.Look {
			if !l.At.After(w.now()) {
				w.look(l, rapid.IntRange(0, 5).Draw(w.t, "look fails") == 0)
			}
		}
	} else {
		w.judge(step)
		w.write(step)
		w.stale = true
	}
	if dies {
		w.seen = map[string]keylife.Sighting{}
		return step
	}
	w.status()
	return step
}

func (w *world) status() {
	for _, k := range w.keys() {
		if !slices.Contains(w.taken, k.Selector) {
			w.taken = append(w.taken, k.Selector)
		}
	}
	w.key.Status.RotateRequestedAt = ""
	if r := keylife.Request(w.key); r != "" && keylife.Obeyed(w.key, w.keys(), r) {
		w.key.Status.RotateRequestedAt = r
	}
}

func (w *world) write(step keylife.Step) {
	switch step.Do {
	case keylife.Make:
		if w.secrets[step.Key.Secret] != nil {
			w.t.Fatalf("%s exists", step.Key.Secret)
		}
		w.made++
		delete(w.seen, step.Key.Selector)
		private := fmt.Appendf(nil, "private key %d", w.made)
		made := keylife.NewSecret(w.key, step.Key, private)
		made.UID = w.uid()
		w.secrets[step.Key.Secret] = made
		w.material[step.Key.Selector] = append(w.material[step.Key.Selector], digestOf(private))
	case keylife.Move:
		s := w.secrets[step.Key.Secret].DeepCopy()
		keylife.Write(step.Key, s)
		w.secrets[step.Key.Secret] = s
	case keylife.Delete:
		delete(w.secrets, step.Key.Secret)
	}
}

// judge holds a write against the rules.
func (w *world) judge(step keylife.Step) {
	k := step.Key
	was := v1alpha1.KeyState("")
	if s := w.secrets[k.Secret]; s != nil {
		was = v1alpha1.KeyState(s.Annotations[keylife.AnnotationState])
	}
	g := w.key.Spec.Source.Generated
	switch {
	case step.Do == keylife.Make && g.Selectors != v1alpha1.SelectorsAlternating:
		if len(w.material[k.Selector]) > 0 {
			w.t.Fatalf("selector %s is used again", k.Selector)
		}
	case step.Do == keylife.Make:
		if out, ever := w.lastOut[k.Selector]; ever && !w.jumped && w.real.Before(out.Add(recordTTL)) {
			w.t.Fatalf("selector %s is used again %s after its record was out", k.Selector, w.real.Sub(out))
		}
	case step.Do == keylife.Delete && was != v1alpha1.KeyRetired:
		w.t.Fatalf("the Secret of a key is deleted that is %s", was)
	case k.State == v1alpha1.KeyActive && was != v1alpha1.KeyActive:
		w.judgeActivation(k, was)
	case k.State == v1alpha1.KeyRetired && (was == v1alpha1.KeyRetiring || was == v1alpha1.KeyActive):
		last, ever := w.lastSigned[k.Selector]
		grace := 5*time.Minute + 300*time.Second + g.Rotation.RetireAfter.Duration
		if ever && !w.jumped && w.real.Before(last.Add(grace)) {
			w.t.Fatalf("the record of %s is withdrawn %s after a pod signed with it", k.Selector, w.real.Sub(last))
		}
	}
}

func (w *world) judgeActivation(k keylife.Key, was v1alpha1.KeyState) {
	g := w.key.Spec.Source.Generated
	if was != v1alpha1.KeyPublished {
		w.t.Fatalf("%s signs from %s", k.Selector, was)
	}
	if g.Rotation.Activation == v1alpha1.ActivationManual && w.key.Annotations[v1alpha1.AnnotationActivate] != k.Selector {
		w.t.Fatalf("%s signs and nobody allowed it", k.Selector)
	}
	wait := max(negativeTTL, g.Rotation.PublishBefore.Duration)
	want := w.material[k.Selector][len(w.material[k.Selector])-1]
	for i, s := range w.servers {
		since := s.since[k.Selector]
		if s.record[k.Selector] != want {
			w.t.Fatalf("%s signs and server %d has no record of it", k.Selector, i)
		}
		// the look is at most as old as lookFresh; the tests change no record between look and write
		if !w.jumped && w.real.Before(since.Add(wait)) {
			w.t.Fatalf("%s signs %s after server %d got its record, want %s", k.Selector, w.real.Sub(since), i, wait)
		}
	}
}

// compile makes the newest snapshot, as the reconciler of snapshots does.
func (w *world) compile() {
	w.compiled = ""
	for _, k := range w.keys() {
		if keylife.Signs(k.State) {
			if w.compiled != "" {
				w.t.Fatalf("%s and %s sign at once", w.compiled, k.Selector)
			}
			w.compiled = k.Selector
		}
	}
	if w.signed && w.compiled == "" {
		w.t.Fatal("nothing signs any more")
	}
	w.signed = w.signed || w.compiled != ""
	w.version++
	w.stale = false
}

// publish copies records to one server.
func (w *world) publish(s server) {
	want := map[string]string{}
	for _, k := range w.keys() {
		if keylife.Outside(k.State) {
			want[k.Selector] = digestOf(k.Private) // "" of a revoked one: no key
		}
	}
	for selector := range s.record {
		if want[selector] == "" {
			delete(s.record, selector)
		}
	}
	for selector, digest := range want {
		if digest != "" && s.record[selector] != digest {
			s.record[selector], s.since[selector] = digest, w.real
		}
	}
}

// pass lets time go by: pods sign, records are out.
func (w *world) pass(d time.Duration) {
	w.observe()
	w.real = w.real.Add(d)
	w.observe()
}

func (w *world) observe() {
	for _, s := range w.servers {
		for selector := range s.record {
			w.lastOut[selector] = w.real
		}
	}
	for _, p := range w.pods {
		if p.signs != "" {
			w.lastSigned[p.signs] = w.real
		}
	}
}

func (w *world) adopt(p *pod) {
	if !p.blocked {
		p.version, p.signs = w.version, w.compiled
	}
}

// keepUp lets everybody around the operator do what the Secrets say.
func (w *world) keepUp() {
	w.observe()
	w.compile()
	for _, s := range w.servers {
		w.publish(s)
	}
	for _, p := range w.pods {
		w.adopt(p)
	}
}
