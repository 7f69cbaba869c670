package keylife_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	corev1 "k8s.io/api/core/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
)

func generated(t *rapid.T) v1alpha1.GeneratedKey {
	duration := func(name string, of ...time.Duration) *metav1.Duration {
		return &metav1.Duration{Duration: rapid.SampledFrom(of).Draw(t, name)}
	}
	return v1alpha1.GeneratedKey{
		Selectors: rapid.SampledFrom([]v1alpha1.SelectorScheme{"", v1alpha1.SelectorsAlternating}).Draw(t, "selectors"),
		Rotation: &v1alpha1.KeyRotation{
			Interval:      duration("interval", 6*time.Hour, 48*time.Hour),
			PublishBefore: duration("publishBefore", 0, 10*time.Minute, 2*time.Hour),
			RetireAfter:   duration("retireAfter", 0, time.Hour, 5*time.Hour),
			Activation:    rapid.SampledFrom([]v1alpha1.KeyActivation{"", "", v1alpha1.ActivationManual}).Draw(t, "activation"),
		},
	}
}

// The rules hold whatever happens in whatever order: crashes between any two writes, look-ups that fail, servers and pods that
// lag, revocations, Secrets that are deleted, the state of a backup, clocks that jump.
func TestRulesHoldWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, generated(t))
		forward := rapid.Bool().Draw(t, "the clock may jump forward")
		restores := rapid.Bool().Draw(t, "backups are restored")
		var backup map[string]*corev1.Secret
		actions := map[string]func(*rapid.T){
			"reconcile": func(t *rapid.T) { w.step(rapid.IntRange(0, 9).Draw(t, "dies") == 0) },
			"until nothing is to write": func(*rapid.T) {
				for i := 0; w.step(false).Do != keylife.Nothing; i++ {
					if i > 50 {
						t.Fatal("it never comes to rest")
					}
				}
			},
			"time": func(t *rapid.T) {
				w.pass(time.Duration(rapid.SampledFrom([]int{1, 20, 60, 600, 3600, 20000}).Draw(t, "seconds")) * time.Second)
			},
			"compile": func(*rapid.T) { w.compile() },
			"publish": func(t *rapid.T) {
				w.observe()
				w.publish(w.servers[rapid.IntRange(0, len(w.servers)-1).Draw(t, "server")])
			},
			"pod takes it": func(t *rapid.T) {
				w.observe()
				w.adopt(w.pods[rapid.IntRange(0, len(w.pods)-1).Draw(t, "pod")])
			},
			"all keep up": func(*rapid.T) { w.keepUp() },
			"hours go by and all keep up": func(t *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(t, "times twenty minutes") {
					for i := 0; i < 20 && w.step(false).Do != keylife.Nothing; i++ {
						w.pass(time.Second)
					}
					w.keepUp()
					w.pass(20 * time.Minute)
				}
			},
			"pod hangs or goes on": func(t *rapid.T) {
				p := w.pods[rapid.IntRange(0, len(w.pods)-1).Draw(t, "pod")]
				p.blocked = !p.blocked
			},
			"clock goes back": func(t *rapid.T) {
				if !restores {
					w.offset -= time.Duration(rapid.IntRange(1, 200000).Draw(t, "seconds")) * time.Second
				}
			},
			"clock goes forward": func(t *rapid.T) {
				if forward {
					w.jumped = true
					w.offset += time.Duration(rapid.IntRange(1, 200000).Draw(t, "seconds")) * time.Second
				}
			},
			"rotate": func(t *rapid.T) {
				annotate(w, v1alpha1.AnnotationRotate, fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "request")))
			},
			"allow": func(t *rapid.T) {
				for _, k := range w.keys() {
					if k.State == v1alpha1.KeyPublished {
						annotate(w, v1alpha1.AnnotationActivate, k.Selector)
					}
				}
			},
			"revoke": func(t *rapid.T) {
				keys := w.keys()
				if len(keys) == 0 || len(w.key.Spec.Revoked) > 2 {
					for w.step(false).Do != keylife.Nothing { // who takes a revocation back has seen it
					}
					w.key.Spec.Revoked = nil
					return
				}
				k := keys[rapid.IntRange(0, len(keys)-1).Draw(t, "key")]
				w.signed = w.signed && k.State != v1alpha1.KeyActive
				w.key.Spec.Revoked = append(w.key.Spec.Revoked, v1alpha1.Selector(k.Selector))
				for _, k := range w.keys() {
					if slices.Contains(w.key.Spec.Revoked, v1alpha1.Selector(k.Selector)) && k.State != v1alpha1.KeyRevoked {
						t.Fatalf("%s is revoked and %s", k.Selector, k.State)
					}
				}
			},
			"a Secret is deleted": func(t *rapid.T) {
				if len(w.secrets) > 0 && rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					w.status()
					w.signed = false
					delete(w.secrets, rapid.SampledFrom(slices.Sorted(maps.Keys(w.secrets))).Draw(t, "Secret"))
				}
			},
			"backup": func(*rapid.T) { backup = maps.Clone(w.secrets) },
			"restore": func(t *rapid.T) {
				// a backup of keys that alternate is of the same keys: nothing tells that a slot had another since
				if backup == nil || !restores || w.key.Spec.Source.Generated.Selectors != "" {
					return
				}
				w.pass(time.Minute) // a restore takes its time
				w.secrets, w.taken, w.signed = maps.Clone(backup), nil, false
				for name, s := range w.secrets {
					s = s.DeepCopy()
					s.UID = w.uid()
					w.secrets[name] = s
				}
				w.key.Status = v1alpha1.DKIMKeyStatus{}
				w.seen = map[string]keylife.Sighting{}
				w.stale = true
				for _, p := range w.pods {
					p.version = -1
				}
				for selector := range w.lastSigned { // what a backup has forgotten it cannot wait for
					delete(w.lastSigned, selector)
				}
			},
			"": func(*rapid.T) {
				active := 0
				for _, k := range w.keys() {
					if k.State == v1alpha1.KeyActive {
						active++
					}
				}
				if active > 1 {
					t.Fatal("two keys are Active")
				}
			},
		}
		t.Repeat(actions)
	})
}

func annotate(w *world, annotation, value string) {
	if w.key.Annotations == nil {
		w.key.Annotations = map[string]string{}
	}
	w.key.Annotations[annotation] = value
}
