package resolver

import (
	"cmp"
	"slices"
)

// OrderSRV sorts by priority and by weighted random inside one (RFC 2782); rnd returns [0,n). The input stays as it
// is. IS-DISC-2.
func OrderSRV(in []SRV, rnd func(n int) int) []SRV {
	out := slices.Clone(in)
	// The RFC leaves the order of equals open. A cached answer always comes in the same order, so without this shuffle
	// records of weight 0 would never take turns.
	for i := len(out) - 1; i > 0; i-- {
		j := rnd(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	slices.SortStableFunc(out, func(a, b SRV) int {
		// Weight 0 goes first, where the running sum lets it win only when the random number is 0.
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(min(a.Weight, 1), min(b.Weight, 1)))
	})
	for start := 0; start < len(out); {
		end := start
		sum := 0
		for ; end < len(out) && out[end].Priority == out[start].Priority; end++ {
			sum += int(out[end].Weight)
		}
		pickByWeight(out[start:end], sum, rnd)
		start = end
	}
	return out
}

// pickByWeight moves one record after the other to the front of what is left, as RFC 2782 "Weight" describes.
func pickByWeight(left []SRV, sum int, rnd func(n int) int) {
	for len(left) > 1 {
		r := rnd(sum + 1)
		running, at := 0, 0
		for i, s := range left {
			if running += int(s.Weight); running >= r {
				at = i
				break
			}
		}
		picked := left[at]
		copy(left[1:at+1], left[:at]) // keeps weight 0 first among the rest
		left[0] = picked
		sum -= int(picked.Weight)
		left = left[1:]
	}
}
