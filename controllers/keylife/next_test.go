package keylife_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/keylife"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// situation is the facts of a test, of a DKIMKey whose key a waits an hour, signs for a day and stays for a day.
type situation struct {
	keylife.Facts
	g *v1alpha1.GeneratedKey
}

func newSituation(keys ...keylife.Key) *situation {
	g := &v1alpha1.GeneratedKey{Rotation: &v1alpha1.KeyRotation{Interval: &metav1.Duration{Duration: 24 * time.Hour}}}
	s := &situation{g: g, Facts: keylife.Facts{
		Now:  noon,
		Seen: map[string]keylife.Sighting{}, Pods: map[string]keylife.Pods{},
		Key: &v1alpha1.DKIMKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cal", Annotations: map[string]string{}},
			Spec:       v1alpha1.DKIMKeySpec{Domain: "example.org", Source: v1alpha1.KeySource{Type: v1alpha1.KeyGenerated, Generated: g}},
		},
	}}
	for _, k := range keys {
		k.Name, k.Secret = "cal", k.Selector+".example.org"
		if k.Written == "" {
			k.Written = k.State
		}
		if k.Algorithm == "" {
			k.Algorithm = v1alpha1.AlgorithmRSA2048
		}
		if k.Made.IsZero() {
			k.Made = k.Since
		}
		s.Keys = append(s.Keys, k)
	}
	return s
}

func key(selector string, state v1alpha1.KeyState, age time.Duration) keylife.Key {
	return keylife.Key{Selector: selector, State: state, Since: ago(age)}
}

func here(age time.Duration) keylife.Sighting {
	return keylife.Sighting{At: ago(age), Here: true, NegativeTTL: 10 * time.Minute}
}

// What is done next, one rule a row. want is the action, the selector and the state it shall be in.
func TestNext(t *testing.T) {
	const day = 24 * time.Hour
	var (
		pending   = func(age time.Duration) keylife.Key { return key("b", v1alpha1.KeyPending, age) }
		published = func(age time.Duration) keylife.Key { return key("b", v1alpha1.KeyPublished, age) }
		active    = func(age time.Duration) keylife.Key { return key("a", v1alpha1.KeyActive, age) }
		retiring  = func(quiet time.Duration) keylife.Key {
			k := key("a", v1alpha1.KeyRetiring, 3*day)
			k.QuietSince = ago(quiet)
			return k
		}
	)
	for _, tt := range []struct {
		rule   string
		keys   []keylife.Key
		change func(*situation)
		want   string
	}{
		{"the first key is made", nil, nil, "Make cal-20260301-120000 Pending"},
		{"it waits for its record", []keylife.Key{pending(time.Minute)}, nil, ""},
		{"a record that is everywhere is enough", []keylife.Key{pending(time.Minute)}, func(s *situation) { s.Seen["b"] = here(0) }, "Move b Published"},
		{"an old look is not", []keylife.Key{pending(time.Hour)}, func(s *situation) { s.Seen["b"] = here(3 * time.Minute) }, ""},
		{"a look before the state began is not", []keylife.Key{pending(time.Minute)}, func(s *situation) { s.Seen["b"] = here(90 * time.Second) }, ""},
		{"a look from the future is not", []keylife.Key{pending(time.Minute)}, func(s *situation) { s.Seen["b"] = here(-time.Minute) }, ""},
		{"caches may deny it for publishBefore", []keylife.Key{published(59 * time.Minute)}, func(s *situation) { s.Seen["b"] = here(0) }, ""},
		{"then it signs", []keylife.Key{published(time.Hour)}, func(s *situation) { s.Seen["b"] = here(0) }, "Move b Active"},
		{"not by a look from before the wait ended", []keylife.Key{published(time.Hour)}, func(s *situation) { s.Seen["b"] = here(time.Minute) }, ""},
		{"or for the negative TTL, when that is longer", []keylife.Key{published(119 * time.Minute)}, func(s *situation) {
			seen := here(0)
			seen.NegativeTTL = 2 * time.Hour
			s.Seen["b"] = seen
		}, ""},
		{"also for the one that was when its record came", []keylife.Key{published(119 * time.Minute)}, func(s *situation) {
			s.Keys[0].NegativeTTL = 2 * time.Hour
			s.Seen["b"] = here(0)
		}, ""},
		{"but for a day at most", []keylife.Key{published(day)}, func(s *situation) {
			seen := here(0)
			seen.NegativeTTL = 1000 * time.Hour
			s.Seen["b"] = seen
		}, "Move b Active"},
		{"a record that vanishes begins anew", []keylife.Key{published(time.Minute)}, func(s *situation) {
			s.Seen["b"] = keylife.Sighting{At: noon, Missing: true}
		}, "Move b Pending"},
		{"a server that does not answer changes nothing", []keylife.Key{published(2 * time.Hour)}, func(s *situation) {
			s.Seen["b"] = keylife.Sighting{At: noon, Problem: "ns1 does not answer"}
		}, ""},
		{"Manual: nobody allowed it", []keylife.Key{published(2 * time.Hour)}, func(s *situation) {
			s.g.Rotation.Activation = v1alpha1.ActivationManual
			s.Seen["b"] = here(0)
		}, ""},
		{"Manual: somebody did", []keylife.Key{published(2 * time.Hour)}, func(s *situation) {
			s.g.Rotation.Activation = v1alpha1.ActivationManual
			s.Key.Annotations[v1alpha1.AnnotationActivate] = "b"
			s.Seen["b"] = here(0)
		}, "Move b Active"},

		{"a key signs for its time", []keylife.Key{active(23*time.Hour - time.Second)}, nil, ""},
		{"the next is made publishBefore earlier", []keylife.Key{active(23 * time.Hour)}, nil, "Make cal-20260301-120000 Pending"},
		{"without an interval never of itself", []keylife.Key{active(1000 * day)}, func(s *situation) { s.g.Rotation = nil }, ""},
		{"asked for", []keylife.Key{active(time.Minute)}, func(s *situation) { s.Key.Annotations[v1alpha1.AnnotationRotate] = "1" }, "Make cal-20260301-120000 Pending"},
		{"and obeyed", []keylife.Key{active(time.Minute)}, func(s *situation) {
			s.Key.Annotations[v1alpha1.AnnotationRotate], s.Keys[0].Request = "1", "1"
		}, ""},
		{"and obeyed by a key whose Secret is gone", []keylife.Key{active(time.Minute)}, func(s *situation) {
			s.Key.Annotations[v1alpha1.AnnotationRotate], s.Key.Status.RotateRequestedAt = "1", "1"
		}, ""},
		{"a rotation under way is what is asked for", []keylife.Key{pending(time.Minute), active(time.Minute)}, func(s *situation) {
			s.Key.Annotations[v1alpha1.AnnotationRotate] = "1"
		}, "Move b Pending"},
		{"another algorithm is another key", []keylife.Key{active(time.Minute)}, func(s *situation) { s.g.Algorithm = v1alpha1.AlgorithmEd25519 }, "Make cal-20260301-120000 Pending"},
		{"also instead of one under way", []keylife.Key{pending(time.Minute), active(time.Minute)}, func(s *situation) { s.g.Algorithm = v1alpha1.AlgorithmEd25519 }, "Move b Retired"},
		{"of two under way the newer leads", []keylife.Key{key("c", v1alpha1.KeyPending, time.Minute), pending(time.Hour)}, nil, "Move b Retired"},
		{"while too many retire none is made", []keylife.Key{
			active(day), key("r1", v1alpha1.KeyRetiring, day), key("r2", v1alpha1.KeyRetiring, day), key("r3", v1alpha1.KeyRetiring, day), key("r4", v1alpha1.KeyRetiring, day),
		}, nil, ""},
		{"unless nothing signs", []keylife.Key{
			key("r1", v1alpha1.KeyRetiring, day), key("r2", v1alpha1.KeyRetiring, day), key("r3", v1alpha1.KeyRetiring, day), key("r4", v1alpha1.KeyRetiring, day),
		}, nil, "Make cal-20260301-120000 Pending"},

		{"a key that retires waits for the pods", []keylife.Key{key("b", v1alpha1.KeyActive, time.Minute), key("a", v1alpha1.KeyRetiring, day)}, func(s *situation) {
			s.Pods["a"] = keylife.Pods{Blocking: "pod edge-1"}
		}, ""},
		{"of which it must know", []keylife.Key{key("b", v1alpha1.KeyActive, time.Minute), key("a", v1alpha1.KeyRetiring, day)}, nil, ""},
		{"the wait begins when no pod signs", []keylife.Key{key("b", v1alpha1.KeyActive, time.Minute), key("a", v1alpha1.KeyRetiring, day)}, func(s *situation) {
			s.Pods["a"] = keylife.Pods{Quiet: true}
		}, "Move a Retiring"},
		{"lifetime, skew and retireAfter", []keylife.Key{key("b", v1alpha1.KeyActive, time.Minute), retiring(day + 10*time.Minute - time.Second)}, func(s *situation) {
			s.Pods["a"] = keylife.Pods{Quiet: true}
		}, ""},
		{"then it is withdrawn", []keylife.Key{key("b", v1alpha1.KeyActive, time.Minute), retiring(day + 10*time.Minute)}, func(s *situation) {
			s.Pods["a"] = keylife.Pods{Quiet: true}
		}, "Move a Retired"},
		{"the longest lifetime of its signatures counts", []keylife.Key{key("b", v1alpha1.KeyActive, time.Minute), retiring(day + 10*time.Minute)}, func(s *situation) {
			s.Pods["a"], s.Keys[1].Lifetime = keylife.Pods{Quiet: true}, time.Hour
		}, ""},
		{"which is remembered while it signs", []keylife.Key{active(time.Minute)}, func(s *situation) { s.Lifetime = time.Hour }, "Move a Active"},

		{"a revocation comes first", []keylife.Key{pending(0), {Selector: "a", State: v1alpha1.KeyRevoked, Written: v1alpha1.KeyActive, Since: ago(time.Hour)}}, func(s *situation) {
			s.Key.Spec.Revoked = []v1alpha1.Selector{"a"}
			s.Seen["b"] = here(0)
		}, "Move a Revoked"},
		{"and stays while the spec says so", []keylife.Key{active(time.Hour), key("r", v1alpha1.KeyRevoked, day)}, func(s *situation) {
			s.Key.Spec.Revoked = []v1alpha1.Selector{"r"}
		}, ""},
		{"no longer named, its record goes", []keylife.Key{active(time.Hour), key("r", v1alpha1.KeyRevoked, day)}, nil, "Move r Retired"},
		{"the older of two that sign retires", []keylife.Key{key("b", v1alpha1.KeyActive, 0), {Selector: "a", State: v1alpha1.KeyRetiring, Written: v1alpha1.KeyActive, Since: ago(day)}}, nil, "Move a Retiring"},
		{"a time of a clock that was ahead begins anew", []keylife.Key{active(-time.Hour)}, nil, "Move a Active"},
		{"another leader's clock may be ahead a little", []keylife.Key{active(-time.Minute)}, nil, ""},
		{"a quiet time of a clock that was ahead, too", []keylife.Key{key("b", v1alpha1.KeyActive, time.Minute), retiring(-time.Hour)}, nil, "Move a Retiring"},
		{"few Retired ones remember the selectors", []keylife.Key{
			active(time.Hour), key("e", v1alpha1.KeyRetired, day), key("d", v1alpha1.KeyRetired, day), key("c", v1alpha1.KeyRetired, day), key("b", v1alpha1.KeyRetired, day), key("z", v1alpha1.KeyRetired, day),
		}, nil, "Delete z Retired"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSituation(tt.keys...)
			if tt.change != nil {
				tt.change(s)
			}
			step := keylife.Next(s.Facts)
			got := ""
			if step.Do != keylife.Nothing {
				got = string(step.Do) + " " + step.Key.Selector + " " + string(step.Key.State)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if step.Do == keylife.Nothing && step.Again.IsZero() && len(step.Waits) == 0 && len(step.Look) == 0 {
				t.Error("nothing is to be done, now or ever")
			}
		})
	}
}

// A key that signs is looked at now and then; one whose record is gone soon, and ever more rarely.
func TestLooksAtTheActiveKey(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		seen   keylife.Sighting
		in     time.Duration
		urgent bool
	}{
		{"its record is there", here(time.Minute), 14 * time.Minute, false},
		{"nobody knows", keylife.Sighting{At: ago(time.Minute), Problem: "ns1 does not answer"}, 14 * time.Minute, false},
		{"another record is there", keylife.Sighting{At: ago(10 * time.Second), Missing: true}, 20 * time.Second, true},
		{"it is gone", keylife.Sighting{At: ago(10 * time.Second), Missing: true, AbsentSince: ago(10 * time.Second)}, 20 * time.Second, true},
		{"it is gone for an hour", keylife.Sighting{At: ago(time.Minute), Missing: true, AbsentSince: ago(time.Hour)}, 5 * time.Minute, true},
		{"it is gone for a day", keylife.Sighting{At: ago(time.Minute), Missing: true, AbsentSince: ago(24 * time.Hour)}, 14 * time.Minute, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSituation(key("a", v1alpha1.KeyActive, time.Hour))
			s.Seen["a"] = tt.seen
			step := keylife.Next(s.Facts)
			if len(step.Look) != 1 || step.Look[0].At.Sub(noon) != tt.in || step.Look[0].Urgent != tt.urgent {
				t.Errorf("%+v, want a look in %v", step.Look, tt.in)
			}
		})
	}
}

// A selector is past all that are remembered and none of those taken, wherever the clock went.
func TestUniqueSelectors(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		taken   []string
		revoked v1alpha1.Selector
		want    string
	}{
		{"the time", nil, "", "cal-20260301-120000"},
		{"an older one", []string{"cal-20260228-235959"}, "", "cal-20260301-120000"},
		{"later on the day", []string{"cal-20260301-130000"}, "", "cal-20260301-130001"},
		{"on a later day", []string{"cal-20270101-000000"}, "", "cal-20270101-000001"},
		{"of another prefix", []string{"office-20270101-000000"}, "", "cal-20260301-120000"},
		{"what a person revokes is no memory", nil, "cal-99991231-999999", "cal-20260301-120000"},
		{"and is not used", nil, "cal-20260301-120000", "cal-20260301-120001"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSituation()
			s.Taken = tt.taken
			if tt.revoked != "" {
				s.Key.Spec.Revoked = []v1alpha1.Selector{tt.revoked}
				s.Keys = keylife.Of(s.Key, nil)
			}
			if got := keylife.Next(s.Facts).Key.Selector; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// A slot is used again when its key is Retired and its record forgotten.
func TestAlternatingSelectors(t *testing.T) {
	absent := func(since time.Duration) keylife.Sighting {
		return keylife.Sighting{At: noon, AbsentSince: ago(since)}
	}
	cal2 := key("cal2", v1alpha1.KeyActive, 48*time.Hour)
	withTTL := key("cal1", v1alpha1.KeyRetired, 48*time.Hour)
	withTTL.TTL = 3 * time.Hour
	for _, tt := range []struct {
		rule   string
		keys   []keylife.Key
		change func(*situation)
		want   string
	}{
		{"never used, and nothing there", nil, func(s *situation) { s.Seen["cal1"] = absent(0) }, "Make cal1"},
		{"never looked", nil, nil, ""},
		{"something there that is not ours", nil, func(s *situation) { s.Seen["cal1"] = keylife.Sighting{At: noon, Missing: true} }, ""},
		{"used by a key that is gone", nil, func(s *situation) { s.Taken, s.Seen["cal1"] = []string{"cal1"}, absent(59*time.Minute) }, ""},
		{"and forgotten", nil, func(s *situation) { s.Taken, s.Seen["cal1"] = []string{"cal1"}, absent(time.Hour) }, "Make cal1"},
		{"Retired, and in caches", []keylife.Key{cal2, withTTL}, func(s *situation) { s.Seen["cal1"] = absent(179 * time.Minute) }, ""},
		{"Retired, and forgotten", []keylife.Key{cal2, withTTL}, func(s *situation) { s.Seen["cal1"] = absent(180 * time.Minute) }, "Delete cal1"},
		{"a look that is old", []keylife.Key{cal2, withTTL}, func(s *situation) {
			s.Seen["cal1"] = keylife.Sighting{At: ago(3 * time.Minute), AbsentSince: ago(5 * time.Hour)}
		}, ""},
		{"Retired before anybody saw its record", []keylife.Key{cal2, key("cal1", v1alpha1.KeyRetired, 48*time.Hour)}, func(s *situation) { s.Seen["cal1"] = absent(59 * time.Minute) }, ""},
		{"still Retiring", []keylife.Key{cal2, key("cal1", v1alpha1.KeyRetiring, 48*time.Hour)}, func(s *situation) { s.Seen["cal1"] = absent(48 * time.Hour) }, ""},
		{"revoked", []keylife.Key{cal2, key("cal1", v1alpha1.KeyRevoked, 48*time.Hour)}, func(s *situation) {
			s.Key.Spec.Revoked, s.Seen["cal1"] = []v1alpha1.Selector{"cal1"}, absent(48*time.Hour)
		}, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSituation(tt.keys...)
			s.g.Selectors = v1alpha1.SelectorsAlternating
			if tt.change != nil {
				tt.change(s)
			}
			step := keylife.Next(s.Facts)
			got := ""
			if step.Do != keylife.Nothing {
				got = string(step.Do) + " " + step.Key.Selector
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What is waited for is looked at and asked about at its time, and not all the time.
func TestWaits(t *testing.T) {
	s := newSituation(key("b", v1alpha1.KeyPublished, time.Minute))
	s.Seen["b"] = here(time.Minute)
	step := keylife.Next(s.Facts)
	if at := noon.Add(14 * time.Minute); len(step.Waits) != 1 || step.Waits[0].Reason != v1alpha1.ReasonPublished || !step.Again.Equal(at) || !step.Look[0].At.Equal(at) {
		t.Errorf("%+v", step)
	}
	for age, want := range map[time.Duration]time.Duration{time.Minute: 30 * time.Second, time.Hour: 6 * time.Minute, 48 * time.Hour: 15 * time.Minute} {
		s := newSituation(key("b", v1alpha1.KeyPending, age))
		s.Seen["b"] = keylife.Sighting{At: noon, Missing: true, Problem: "ns1 has none"}
		if step := keylife.Next(s.Facts); !step.Again.Equal(noon.Add(want)) || step.Waits[0].Message != "ns1 has none" {
			t.Errorf("after %s: %+v", age, step)
		}
	}
	cal1 := key("cal1", v1alpha1.KeyRetired, 48*time.Hour)
	s = newSituation(key("cal2", v1alpha1.KeyActive, 48*time.Hour), cal1)
	s.g.Selectors = v1alpha1.SelectorsAlternating
	s.Seen["cal1"] = keylife.Sighting{At: ago(10 * time.Minute), AbsentSince: ago(10 * time.Minute)}
	if step := keylife.Next(s.Facts); !step.Again.Equal(noon.Add(50*time.Minute)) || step.Look[0].Urgent {
		t.Errorf("%+v", step)
	}
}

// A record is absent since the first look that found none, in a row of looks during which no key was there.
func TestAbsent(t *testing.T) {
	before := keylife.Sighting{At: ago(time.Hour), AbsentSince: ago(time.Hour)}
	for _, tt := range []struct {
		rule   string
		state  v1alpha1.KeyState
		before keylife.Sighting
		want   time.Time
	}{
		{"the first look", "", keylife.Sighting{}, noon},
		{"one more", "", before, ago(time.Hour)},
		{"of a Retired key", v1alpha1.KeyRetired, before, ago(time.Hour)},
		{"of one that is to be published", v1alpha1.KeyPending, before, time.Time{}},
		{"after a look of a clock that was ahead", "", keylife.Sighting{AbsentSince: noon.Add(time.Hour)}, noon},
	} {
		s := keylife.Sighting{At: noon}
		s.Absent(keylife.Key{State: tt.state}, tt.before)
		if !s.AbsentSince.Equal(tt.want) {
			t.Errorf("%s: got %s, want %s", tt.rule, s.AbsentSince, tt.want)
		}
	}
}

// Times are written in whole seconds, and rounded so that nothing is waited for too short. A new key is younger than all others,
// wherever the clock went.
func TestTimesThatAreWritten(t *testing.T) {
	s := newSituation(key("a", v1alpha1.KeyRetired, -48*time.Hour))
	s.Keys[0].Since = ago(time.Hour)
	s.Now = noon.Add(time.Millisecond)
	step := keylife.Next(s.Facts)
	if !step.Key.Since.Equal(noon.Add(time.Second)) || !step.Key.Made.After(s.Keys[0].Made) {
		t.Errorf("%+v", step.Key)
	}
}
