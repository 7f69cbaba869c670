package snapshot_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/snapshot"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var comparePrefix = cmpopts.EquateComparable(netip.Prefix{})

// full has a value in every field; no value is a real secret.
func full() *snapshot.Snapshot {
	pair := snapshot.KeyPair{Certificate: []byte("certificate"), Key: []byte("key")}
	messages := []snapshot.Messages{{Component: "VEVENT", Methods: []string{"REQUEST"}}}
	pinned := snapshot.PinnedKey{Domain: "friend.example", Selector: "sel", Record: "v=DKIM1; p=x"}
	server := &snapshot.SMTPServer{Host: "smtp.example.org", Port: 587, TLS: snapshot.SMTPStartTLS, Username: "calfed", Password: "password"}
	backend := snapshot.Backend{
		Type:      snapshot.BackendISchedule,
		ISchedule: &snapshot.ISchedule{URL: "http://127.0.0.1:8008/ischedule"},
		CalDAV: &snapshot.CalDAV{
			URL: "https://calendar.example.org/dav/", Profile: snapshot.ProfileCyrus, PrincipalTemplate: "/dav/principals/user/{local}/",
			Username: "admin", Password: "password", Token: "token", FreeBusyPrincipal: "/dav/principals/user/calfed/", BypassACL: true,
		},
		IMIP: &snapshot.IMIP{Server: server},
	}
	return &snapshot.Snapshot{
		Format: snapshot.FormatVersion,
		Gateway: snapshot.Gateway{
			Name: "default/edge", Host: "gw.example.org", TLS: pair, NoTickets: true,
			Capabilities: ischedule.Capabilities{
				Serial: 1795348146, Versions: []string{"1.0"},
				Messages:    []ischedule.Component{{Name: "VEVENT", Methods: []string{"REQUEST"}}},
				DataTypes:   []ischedule.DataType{{ContentType: "text/calendar", Version: "2.0"}},
				Attachments: ischedule.Attachments{Inline: true, External: true}, RScales: []string{"GREGORIAN"},
				MaxContentLength: 1 << 20, MaxInstances: 1000, MaxRecipients: 100,
				MinDateTime:   time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
				MaxDateTime:   time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
				Administrator: "mailto:postmaster@example.org",
			},
			DefaultAction: snapshot.Deny,
			Egress: snapshot.Egress{
				BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				PeerCIDRs:    []netip.Prefix{netip.MustParsePrefix("fd00::/8")},
				Resolver:     "127.0.0.1:53", CABundle: []byte("bundle"),
			},
			Limits: snapshot.Limits{
				MaxConnections: 1, MaxConnsPerSource: 2, RequestsPerSource: 3.5, KeyLookupsPerSource: 4, KeyLookupsPerDomain: 5, KeyLookups: 6,
				MaxHeaderBytes: 7, MaxInFlightBytes: 8, HeaderTimeout: 9 * time.Second, BodyTimeout: 10 * time.Second, DeliveryTimeout: 11 * time.Second,
			},
			Discovery: snapshot.Discovery{ParentDomains: true, WellKnown: true},
			Submission: snapshot.Submission{
				SMTP:      &snapshot.SMTPSubmission{MaxMessageBytes: 12, MaxRecipients: 13, AuthservID: "mx.example.org"},
				Smarthost: server,
			},
		},
		Domains: []snapshot.Domain{{
			Name: "example.org", Source: "default/example-org",
			Signing: snapshot.Signing{
				Keys:   []snapshot.Key{{Source: "default/key", Domain: "example.org", Selector: "cal", State: snapshot.KeyStandby, Private: []byte("private"), Record: "v=DKIM1; p=x"}},
				Lookup: []string{"dns/txt"}, Lifetime: 10 * time.Minute, Mail: true,
			},
			Backend: backend, FreeBusyBackend: &backend, Fallback: snapshot.FallbackIMIP,
			Accepts: messages,
			Submitters: []snapshot.Submitter{{
				Name: "calendar", TokenSHA256: []byte("digest"),
				Certificate: &snapshot.ClientCertificate{CA: []byte("ca"), Names: []string{"cal.example.org"}},
				Basic:       &snapshot.Basic{Username: "mta", PasswordSHA256: []byte("digest")}, PinnedKey: &pinned,
			}},
			Policies: []string{"default/friends"},
		}},
		Policies: []snapshot.Policy{{
			ID: "default/friends", Created: time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC),
			Peers: []string{"friend.example"}, Domains: []string{"example.org"}, Action: snapshot.Allow,
			Inbound: snapshot.Inbound{
				Messages: messages, Rate: 2.5, MaxRecipients: 10, MinRSABits: 2048, KeyLookup: []string{"dns/txt"},
				PinnedKeys:            []snapshot.PinnedKey{pinned},
				SignatureTimeOptional: true, MaxAge: time.Hour, ContentTypeParametersOptional: true, Strict: true,
				ThirdPartySigners: []string{"signer.example"}, FreeBusy: snapshot.FreeBusyFull, HideUnknownUsers: true,
			},
			Outbound: snapshot.Outbound{
				Endpoint: "https://cal.friend.example/", CABundle: []byte("bundle"), CertificateSHA256: []string{"00"},
				ClientCertificate: &pair, Authorization: "Bearer x", RequireSecureIdentity: "DNSSEC",
				SignatureProfile: snapshot.SignatureDAViCal, Timeout: time.Second,
			},
		}},
	}
}

// zeroFields lists the fields that have no value: full must have them all, or the golden file forgets one.
func zeroFields(place string, v reflect.Value) (out []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return zeroFields(place, v.Elem())
		}
	case reflect.Slice:
		if v.Len() > 0 {
			for i := range v.Len() {
				out = append(out, zeroFields(place+"[]", v.Index(i))...)
			}
			return out
		}
	case reflect.Struct:
		if v.Type().PkgPath() != "time" && v.Type().PkgPath() != "net/netip" {
			for i := range v.NumField() {
				out = append(out, zeroFields(place+"."+v.Type().Field(i).Name, v.Field(i))...)
			}
			return out
		}
	}
	if v.IsZero() {
		return []string{place}
	}
	return nil
}

func TestEncodingIsGolden(t *testing.T) {
	if zero := zeroFields("snapshot", reflect.ValueOf(full())); len(zero) > 0 {
		t.Fatalf("without a value: %v", zero)
	}
	b, err := snapshot.Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const golden = "testdata/snapshot.json"
	if *update {
		if err := os.WriteFile(golden, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
		t.Errorf("the encoding changed; it may only gain fields:\n%s", diff)
	}
	got, err := snapshot.Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got, comparePrefix); diff != "" {
		t.Error(diff)
	}
}

func TestEncodeWritesTheCurrentFormat(t *testing.T) {
	s := full()
	s.Format = 0
	b, err := snapshot.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := snapshot.Decode(b); err != nil || got.Format != snapshot.FormatVersion || s.Format != 0 {
		t.Errorf("%v, %v; the argument has %d", got, err, s.Format)
	}
}

func TestDecodeIsAdditiveOneVersionEachWay(t *testing.T) {
	for body, want := range map[string]bool{
		`{"format":1}`: true,
		`{"format":2,"later":{"x":[1]},"gateway":{"host":"h","later":true}}`: true,
		`{"format":3}`:                    false,
		`{"format":0}`:                    false,
		`{"format":-1}`:                   false,
		`{}`:                              false,
		`{"later":"a","gateway":{"a":1}}`: false,
	} {
		s, err := snapshot.Decode([]byte(body))
		if (err == nil) != want || !want && !errors.Is(err, snapshot.ErrFormat) {
			t.Errorf("%s: %+v, %v", body, s, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, body := range []string{"", "null x", "[]", `{"format":1`, `{"format":1}{}`, `{"format":"1"}`, `{"format":1,"domains":{}}`, `{"format":1,"gateway":{"tls":{"key":"!"}}}`} {
		if s, err := snapshot.Decode([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, s)
		}
	}
}

func TestFileKeepsTheLastGoodSnapshot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "snapshot.json")
	if _, err := snapshot.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no file: %v", err)
	}
	if err := snapshot.WriteFile(path, &snapshot.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.WriteFile(path, full()); err != nil {
		t.Fatal(err)
	}
	got, err := snapshot.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got, comparePrefix); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFileFailsWhole(t *testing.T) {
	dir := t.TempDir()
	if err := snapshot.WriteFile(filepath.Join(dir, "none", "snapshot.json"), full()); err == nil {
		t.Error("written into a folder that does not exist")
	}
	// The rename fails: the target is a folder that is not empty.
	target := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(target, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.WriteFile(target, full()); err == nil {
		t.Error("written over a folder")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"format":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.ReadFile(bad); !errors.Is(err, snapshot.ErrFormat) || !strings.Contains(err.Error(), "bad.json") {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	// Small seeds: the fuzzer spends its time on what it finds, not on cutting documents down.
	f.Add([]byte(`{"format":1,"gateway":{"egress":{"peerCIDRs":["::1/128"]},"capabilities":{"minDateTime":"1970-01-01T00:00:00Z"}}}`))
	f.Add([]byte(`{"format":1,"gateway":{"name":"a/b","host":"h","limits":{"headerTimeout":1}},"domains":[{"name":"a.example","policies":["p"]}]}`))
	f.Add([]byte(`{"format":2,"policies":[{"id":"p","peers":["*","*.x"],"created":"2026-11-22T13:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := snapshot.Decode(body)
		if err != nil {
			if s != nil {
				t.Fatalf("%+v beside %v", s, err)
			}
			return
		}
		first, err := snapshot.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := snapshot.Decode(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := snapshot.Encode(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatal(err, cmp.Diff(string(first), string(second)))
		}
		if a, err := snapshot.Activate(s); err == nil {
			a.KnowsPeer("a.b.example")
		} else if a != nil {
			t.Fatal("a snapshot beside an error")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body, err := snapshot.Encode(full())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := snapshot.Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
