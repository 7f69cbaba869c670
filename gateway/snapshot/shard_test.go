package snapshot_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calfed/calfed/gateway/snapshot"
)

func TestNamesOfParts(t *testing.T) {
	got := []string{snapshot.IndexName("edge"), snapshot.ShardName("edge", 0), snapshot.ShardName("edge", 255)}
	if diff := cmp.Diff([]string{"edge-snap-index", "edge-snap-000", "edge-snap-255"}, got); diff != "" {
		t.Error(diff)
	}
}

// Which domain is in which shard never changes: pods of another version look where this one wrote.
func TestShardOf(t *testing.T) {
	for name, want := range map[string]int{
		"example.org": 191, "sub.example.org": 208, "sender.example": 230, "a.example": 184, "xn--bcher-kva.example": 151, "": 227,
	} {
		if got := snapshot.ShardOf(name); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
}

// fullParts are an index and a shard that have a value in every field.
func fullParts() (*snapshot.Index, *snapshot.Shard) {
	s := full()
	shard := &snapshot.Shard{Number: snapshot.ShardOf("example.org"), Serial: 41, Domains: s.Domains, Policies: s.Policies}
	return &snapshot.Index{
		Format: snapshot.FormatVersion, Serial: 42, Gateway: s.Gateway,
		Shards: []snapshot.ShardRef{{Number: shard.Number, Serial: shard.Serial, SHA256: strings.Repeat("0a", 32)}},
	}, shard
}

// golden compares a part with a file; the gzip around it is no format of ours.
func golden(t *testing.T, file string, part []byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(part))
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" || z.Comment != "" {
		t.Errorf("%s: the gzip header says more than it needs: %+v", file, z.Header)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, plain, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("the encoding changed; it may only gain fields:\n%s", diff)
	}
}

func TestPartsAreGolden(t *testing.T) {
	x, s := fullParts()
	index, err := snapshot.EncodeIndex(x)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/index.json", index)
	shard, err := snapshot.EncodeShard(s)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/shard.json", shard)

	gotIndex, err := snapshot.DecodeIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(x, gotIndex, comparePrefix); diff != "" {
		t.Error(diff)
	}
	gotShard, err := snapshot.DecodeShard(shard)
	if err != nil {
		t.Fatal(err)
	}
	s.Format = snapshot.FormatVersion
	if diff := cmp.Diff(s, gotShard, comparePrefix); diff != "" {
		t.Error(diff)
	}
	for place, v := range map[string]any{"index": gotIndex, "shard": gotShard} {
		if zero := zeroFields(place, reflect.ValueOf(v)); len(zero) > 0 {
			t.Errorf("without a value: %v", zero)
		}
	}
}

// The hash is over the content alone, the bytes over everything.
func TestEqualPartsAreEqualBytes(t *testing.T) {
	encode := func(change func(*snapshot.Shard)) (*snapshot.Shard, []byte) {
		t.Helper()
		_, s := fullParts()
		change(s)
		b, err := snapshot.EncodeShard(s)
		if err != nil {
			t.Fatal(err)
		}
		return s, b
	}
	one, first := encode(func(*snapshot.Shard) {})
	same, second := encode(func(s *snapshot.Shard) { s.Format, s.SHA256 = 99, "x" })
	later, third := encode(func(s *snapshot.Shard) { s.Serial++ })
	other, _ := encode(func(s *snapshot.Shard) { s.Domains[0].Source = "default/other" })
	otherPolicy, _ := encode(func(s *snapshot.Shard) { s.Policies[0].Inbound.Rate++ })
	switch {
	case !bytes.Equal(first, second) || one.SHA256 != same.SHA256:
		t.Error("equal shards differ")
	case bytes.Equal(first, third) || one.SHA256 != later.SHA256:
		t.Error("the serial is in the hash, or not in the bytes")
	case one.SHA256 == other.SHA256 || one.SHA256 == otherPolicy.SHA256:
		t.Error("the hash does not cover the content")
	}
	x, _ := fullParts()
	a, errA := snapshot.EncodeIndex(x)
	b, errB := snapshot.EncodeIndex(x)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Error("equal indexes differ", errA, errB)
	}
}

// packed is what a writer of another version, or nobody, could have written.
func packed(t testing.TB, plain string) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The version before and the one after are read; a hash covers what this version does not know.
func TestPartsAreReadableOneVersionEachWay(t *testing.T) {
	const digest = "0000000000000000000000000000000000000000000000000000000000000000"
	for body, want := range map[string]bool{
		`{"format":1,"serial":1}`: true,
		`{"format":2,"serial":1,"later":[],"gateway":{"later":1},"shards":[{"number":3,"serial":1,"sha256":"` + digest + `","later":{}}]}`: true,
		`{"format":3,"serial":1}`: false,
		`{"format":0,"serial":1}`: false,
	} {
		x, err := snapshot.DecodeIndex(packed(t, body))
		if (err == nil) != want || !want && !errors.Is(err, snapshot.ErrFormat) {
			t.Errorf("%s: %+v, %v", body, x, err)
		}
	}
	const domains = `[{"name":"example.org","later":{"x":[1]}}]`
	hash := snapshot.HashContent([]byte(domains), nil)
	for body, want := range map[string]bool{
		`{"format":2,"number":191,"serial":1,"later":1,"sha256":"` + hash + `","domains":` + domains + `}`:           true,
		`{"format":2,"number":191,"serial":1,"sha256":"` + hash + `","domains":[{"name":"example.org","later":{}}]}`: false,
		`{"format":3,"number":191,"serial":1,"sha256":"` + hash + `","domains":` + domains + `}`:                     false,
	} {
		s, err := snapshot.DecodeShard(packed(t, body))
		if (err == nil) != want || want && s.Domains[0].Name != "example.org" {
			t.Errorf("%s: %+v, %v", body, s, err)
		}
	}
}

func TestDecodePartsRefuses(t *testing.T) {
	const digest = "0000000000000000000000000000000000000000000000000000000000000000"
	ref := func(number string) string { return `{"number":` + number + `,"serial":1,"sha256":"` + digest + `"}` }
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"no gzip":                []byte(`{"format":1}`),
		"half a gzip":            packed(t, `{"format":1}`)[:15],
		"something behind it":    append(packed(t, `{"format":1}`), "more"...),
		"no JSON":                packed(t, `{"format":1`),
		"two documents":          packed(t, `{"format":1}{}`),
		"too much":               packed(t, `{"format":1,"serial":1}`+strings.Repeat(" ", 16<<20)),
		"a shard twice":          packed(t, `{"format":1,"shards":[`+ref("3")+`,`+ref("3")+`]}`),
		"shards not in order":    packed(t, `{"format":1,"shards":[`+ref("3")+`,`+ref("2")+`]}`),
		"a shard that is none":   packed(t, `{"format":1,"shards":[`+ref("256")+`]}`),
		"a shard before all":     packed(t, `{"format":1,"shards":[`+ref("-1")+`]}`),
		"a hash that is none":    packed(t, `{"format":1,"shards":[{"number":1,"serial":1,"sha256":"0g"}]}`),
		"a hash that is no hash": packed(t, `{"format":1,"shards":[{"number":1,"serial":1,"sha256":"00"}]}`),
	} {
		if x, err := snapshot.DecodeIndex(b); err == nil || x != nil {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
	if s, err := snapshot.DecodeShard(packed(t, `{"format":1,"number":191,"serial":1,"sha256":""}`)); err == nil || s != nil {
		t.Errorf("no hash: %+v, %v", s, err)
	}
}

// A shard holds domains that belong to it, once, with their policies; neither side takes another one.
func TestShardsAreSelfContained(t *testing.T) {
	domain := snapshot.Domain{Name: "example.org", Policies: []string{"default/friends"}}
	policy := snapshot.Policy{ID: "default/friends"}
	for name, s := range map[string]*snapshot.Shard{
		"of another shard":     {Number: 190, Domains: []snapshot.Domain{{Name: "example.org"}}},
		"no shard":             {Number: 256},
		"before all":           {Number: -1},
		"a domain twice":       {Number: 191, Domains: []snapshot.Domain{{Name: "example.org"}, {Name: "example.org"}}},
		"a policy elsewhere":   {Number: 191, Domains: []snapshot.Domain{domain}},
		"a policy twice":       {Number: 191, Policies: []snapshot.Policy{policy, policy}},
		"a number JSON has no": {Number: 191, Policies: []snapshot.Policy{{ID: "p", Inbound: snapshot.Inbound{Rate: math.NaN()}}}},
	} {
		if _, err := snapshot.EncodeShard(s); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	for name, body := range map[string][2]string{
		"of another shard":    {`[{"name":"sender.example"}]`, ``},
		"a domain twice":      {`[{"name":"example.org"},{"name":"example.org"}]`, ``},
		"a policy elsewhere":  {`[{"name":"example.org","policies":["p"]}]`, `[{"id":"q"}]`},
		"a policy twice":      {`[{"name":"example.org"}]`, `[{"id":"q"},{"id":"q"}]`},
		"a list that is none": {`{}`, ``},
	} {
		plain := `{"format":1,"number":191,"serial":1,"sha256":"` + snapshot.HashContent([]byte(body[0]), []byte(body[1])) + `","domains":` + body[0]
		if body[1] != "" {
			plain += `,"policies":` + body[1]
		}
		if s, err := snapshot.DecodeShard(packed(t, plain+"}")); err == nil || s != nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if _, err := snapshot.EncodeShard(&snapshot.Shard{Number: 191, Domains: []snapshot.Domain{domain}, Policies: []snapshot.Policy{policy}}); err != nil {
		t.Error(err)
	}
}

// What does not fit into a Secret is refused where it is written.
func TestPartsFitIntoASecret(t *testing.T) {
	noise := make([]byte, 5<<18)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	x := &snapshot.Index{Gateway: snapshot.Gateway{Egress: snapshot.Egress{CABundle: noise}}}
	if _, err := snapshot.EncodeIndex(x); !errors.Is(err, snapshot.ErrTooLarge) {
		t.Error(err)
	}
	x.Gateway.Egress.CABundle = make([]byte, 12<<20) // packs well, and would not be read
	if _, err := snapshot.EncodeIndex(x); !errors.Is(err, snapshot.ErrTooLarge) {
		t.Error(err)
	}
}

func TestHashDomain(t *testing.T) {
	s := full()
	d, p := &s.Domains[0], &s.Policies[0]
	hashed := func(d *snapshot.Domain, p *snapshot.Policy) string {
		return snapshot.HashDomain(d, []string{snapshot.HashPolicy(p)})
	}
	hash := hashed(d, p)
	if len(hash) != 64 || hash != hashed(&full().Domains[0], &full().Policies[0]) {
		t.Errorf("%q", hash)
	}
	p.Inbound.Rate++
	if hashed(d, p) == hash {
		t.Error("the policies are not in it")
	}
	p.Inbound.Rate--
	d.Signing.Keys[0].State = snapshot.KeyRevoked
	if hashed(d, p) == hash {
		t.Error("the domain is not in it")
	}
}

func FuzzDecodeIndex(f *testing.F) {
	x, _ := fullParts()
	b, err := snapshot.EncodeIndex(x)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(packed(f, `{"format":2,"serial":1,"later":[],"shards":[]}`))
	f.Add(packed(f, `{"format":1,"shards":[{"number":3,"serial":1,"sha256":"00"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := snapshot.DecodeIndex(b)
		if (err == nil) != (x != nil) {
			t.Fatal(x, err)
		}
		if err != nil {
			return
		}
		first, err := snapshot.EncodeIndex(x)
		if err != nil {
			t.Fatal(err)
		}
		again, err := snapshot.DecodeIndex(first)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := snapshot.EncodeIndex(again); err != nil || !bytes.Equal(first, second) {
			t.Fatal("written again, it differs", err)
		}
		_, _ = snapshot.Assemble(x, nil)
	})
}

func FuzzDecodeShard(f *testing.F) {
	_, s := fullParts()
	b, err := snapshot.EncodeShard(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(packed(f, `{"format":1,"number":191,"serial":1,"sha256":"`+snapshot.HashContent([]byte(`[{"name":"example.org"}]`), nil)+`","domains":[{"name":"example.org"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := snapshot.DecodeShard(b)
		if (err == nil) != (s != nil) {
			t.Fatal(s, err)
		}
		if err != nil {
			return
		}
		for _, d := range s.Domains {
			if snapshot.ShardOf(d.Name) != s.Number {
				t.Fatalf("%q in shard %d", d.Name, s.Number)
			}
		}
		first, err := snapshot.EncodeShard(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := snapshot.DecodeShard(first)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := snapshot.EncodeShard(again); err != nil || !bytes.Equal(first, second) {
			t.Fatal("written again, it differs", err)
		}
		if whole, err := snapshot.Assemble(&snapshot.Index{Shards: []snapshot.ShardRef{s.Ref()}}, []*snapshot.Shard{s}); err == nil {
			_, _ = snapshot.Activate(whole)
		}
	})
}
