package load

import (
	"math/bits"
	"time"
)

// latencies is a histogram of microseconds in classes that are at most 1/32 of their value wide.
type latencies struct {
	counts [1184]int // up to 2^41 µs
	n      int
	max    time.Duration
}

func (l *latencies) add(d time.Duration) {
	d = max(d, 0)
	l.counts[min(class(uint64(d.Microseconds())), len(l.counts)-1)]++
	l.n++
	l.max = max(l.max, d)
}

// class of v: below 64 v itself, above its first six binary digits and how many follow.
func class(v uint64) int {
	if v < 64 {
		return int(v)
	}
	more := bits.Len64(v) - 6
	return more*32 + int(v>>more)
}

// highest is the largest value of a class.
func highest(class int) uint64 {
	if class < 64 {
		return uint64(class)
	}
	more := class/32 - 1
	return uint64(class-more*32+1)<<more - 1
}

// quantile is a value that the share q of all values does not exceed; 0 when there are none.
func (l *latencies) quantile(q float64) time.Duration {
	left := int(q * float64(l.n))
	for class, count := range l.counts {
		if left -= count; left < 0 {
			return min(l.max, time.Duration(highest(class))*time.Microsecond)
		}
	}
	return l.max
}
