package resolver_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/calfed/calfed/gateway/resolver"
)

// Proves: IS-DISC-2
func TestOrderSRVByPriority(t *testing.T) {
	in := []resolver.SRV{{Target: "c", Priority: 30}, {Target: "a", Priority: 0, Weight: 1}, {Target: "b", Priority: 10, Weight: 65535}}
	before := slices.Clone(in)
	rnd := rand.New(rand.NewPCG(1, 2)).IntN
	for range 100 {
		var got string
		for _, s := range resolver.OrderSRV(in, rnd) {
			got += s.Target
		}
		if got != "abc" {
			t.Fatalf("order %s, want abc", got)
		}
	}
	if d := gocmp.Diff(before, in); d != "" {
		t.Errorf("the input was changed: %s", d)
	}
}

// Proves: IS-DISC-2
func TestOrderSRVByWeight(t *testing.T) {
	tests := []struct {
		name    string
		weights []uint16
		want    []float64 // chance to be first
	}{
		{"in proportion", []uint16{10, 30, 60}, []float64{.1, .3, .6}},
		{"all zero take turns", []uint16{0, 0, 0, 0}, []float64{.25, .25, .25, .25}},
		{"zero among others is rare, not never", []uint16{0, 9}, []float64{.1, .9}},
		{"zero listed last is as rare", []uint16{9, 0}, []float64{.9, .1}},
		{"one of them", []uint16{7}, []float64{1}},
		{"the largest weights", []uint16{65535, 65535}, []float64{.5, .5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(2782, 1)).IntN
			in := make([]resolver.SRV, len(tt.weights))
			for i, w := range tt.weights {
				in[i] = resolver.SRV{Port: uint16(i), Weight: w}
			}
			const rounds = 40_000
			first := make([]int, len(in))
			for range rounds {
				first[resolver.OrderSRV(in, rnd)[0].Port]++
			}
			for i, want := range tt.want {
				// RFC 2782 draws from 0 to the sum inclusive, which shifts a share by up to 1/(sum+1): the weights above
				// keep that below a hundredth. Five standard deviations beside it; and the source is seeded.
				slack := 5*math.Sqrt(want*(1-want)/rounds) + .01
				if got := float64(first[i]) / rounds; math.Abs(got-want) > slack {
					t.Errorf("weight %d is first in %.3f, want %.3f ± %.3f", tt.weights[i], got, want, slack)
				}
			}
		})
	}
}

// Proves: IS-DISC-2
func TestOrderSRVProperties(t *testing.T) {
	record := rapid.Custom(func(t *rapid.T) resolver.SRV {
		return resolver.SRV{
			Port:     rapid.Uint16().Draw(t, "port"),
			Priority: rapid.Uint16Max(3).Draw(t, "priority"),
			Weight:   rapid.OneOf(rapid.Just(uint16(0)), rapid.Uint16()).Draw(t, "weight"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		checkOrder(t, rapid.SliceOfN(record, 0, 12).Draw(t, "records"), rapid.Uint64().Draw(t, "seed"))
	})
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkOrder holds what is true of every order: the same records, sorted by priority.
func checkOrder(t failer, in []resolver.SRV, seed uint64) {
	t.Helper()
	out := resolver.OrderSRV(in, rand.New(rand.NewPCG(seed, 0)).IntN)
	if !slices.IsSortedFunc(out, func(a, b resolver.SRV) int { return cmp.Compare(a.Priority, b.Priority) }) {
		t.Fatalf("not by priority: %v", out)
	}
	all := func(a, b resolver.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Weight, b.Weight))
	}
	if !slices.Equal(slices.SortedFunc(slices.Values(in), all), slices.SortedFunc(slices.Values(out), all)) {
		t.Fatalf("not the same records: %v, %v", in, out)
	}
}

func FuzzOrderSRV(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 5}, uint64(1))
	f.Add([]byte{1, 255, 255, 1, 255, 255, 0, 0, 0}, uint64(7))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		var in []resolver.SRV
		for ; len(b) >= 3 && len(in) < 64; b = b[3:] {
			in = append(in, resolver.SRV{
				Port: uint16(len(in)), Priority: uint16(b[0] & 3), Weight: uint16(b[1])<<8 | uint16(b[2]),
			})
		}
		checkOrder(t, in, seed)
	})
}
