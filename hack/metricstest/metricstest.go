// Package metricstest reads metrics in tests: the text format of Prometheus, as far as our programs and the kubelet write it.
package metricstest

import (
	"bufio"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Sample is one value of a series.
type Sample struct {
	Name   string
	labels string
	Value  float64
	At     time.Time // zero where the text says no time
}

// Label is the value of a label, "" when there is none. Escapes stay as they are.
func (s Sample) Label(name string) string {
	_, rest, found := strings.Cut(","+s.labels, ","+name+`="`)
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// Samples reads those of a text. What is none is left out.
func Samples(r io.Reader) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if s, ok := parse(lines.Text()); ok && !yield(s) {
				return
			}
		}
	}
}

func parse(line string) (s Sample, ok bool) {
	if strings.HasPrefix(line, "#") {
		return s, false
	}
	series, rest := "", ""
	if end := strings.LastIndexByte(line, '}'); end >= 0 {
		series, rest = line[:end], line[end+1:]
	} else {
		series, rest, _ = strings.Cut(line, " ")
	}
	s.Name, s.labels, _ = strings.Cut(series, "{")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return s, false
	}
	var err error
	if s.Value, err = strconv.ParseFloat(fields[0], 64); err != nil {
		return s, false
	}
	if len(fields) > 1 {
		ms, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return s, false
		}
		s.At = time.UnixMilli(ms)
	}
	return s, true
}

// Sums reads a text into sums over labels, by name.
func Sums(r io.Reader) map[string]float64 {
	out := map[string]float64{}
	for s := range Samples(r) {
		out[s.Name] += s.Value
	}
	return out
}
