//go:build interop

package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/publish"
	"github.com/calfed/calfed/controllers/records"
	"github.com/calfed/calfed/gateway/netguard"
	"github.com/calfed/calfed/gateway/probe"
	"github.com/calfed/calfed/gateway/resolver"
)

// knotConfig is what README.md of this package tells administrators to write, and a key that may do nothing.
const knotConfig = `
server:
    listen: 127.0.0.1@%[1]s
    rundir: %[2]q
database:
    storage: %[2]q
log:
  - target: stderr
    any: info
key:
  - id: calfed
    algorithm: hmac-sha256
    secret: %[3]s
  - id: idle
    algorithm: hmac-sha512
    secret: %[3]s
acl:
  - id: calfed
    key: calfed
    action: update
    update-type: [SRV, TXT]
zone:
  - domain: example.org
    storage: %[2]q
    file: example.org.zone
    acl: calfed
`

const knotZone = `$ORIGIN example.org.
$TTL 60
@ SOA ns1 admin 1 7200 900 86400 60
@ NS ns1
ns1 A 127.0.0.1
theirs._domainkey TXT "v=DKIM1; p=somebody else's"
`

// knot starts Debian's knot on loopback and returns its address.
func knot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	port := freePort(t)
	for name, text := range map[string]string{
		"knot.conf":        fmt.Sprintf(knotConfig, port, dir, secret),
		"example.org.zone": knotZone,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/sbin/knotd", "-c", filepath.Join(dir, "knot.conf"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	addr := net.JoinHostPort("127.0.0.1", port)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
		answer, err := dns.Exchange(new(dns.Msg).SetQuestion("example.org.", dns.TypeSOA), addr)
		return err == nil && len(answer.Answer) == 1, nil
	}); err != nil {
		t.Fatalf("knot does not answer: %v\n%s", err, log.String())
	}
	return addr
}

// freePort is one that is free for both protocols, and below those that connections get.
func freePort(t *testing.T) string {
	t.Helper()
	for port := 15300; port < 15400; port++ {
		text := fmt.Sprint(port)
		pc, err := net.ListenPacket("udp", "127.0.0.1:"+text)
		if err != nil {
			continue
		}
		ln, err := net.Listen("tcp", "127.0.0.1:"+text)
		_ = pc.Close()
		if err != nil {
			continue
		}
		_ = ln.Close()
		return text
	}
	t.Fatal("no free port")
	return ""
}

// RFC 2136 with TSIG against a name server that others wrote.
func TestKnotTakesOurUpdates(t *testing.T) {
	addr := knot(t)
	update := func() *publish.Update {
		return &publish.Update{Settings: v1alpha1.RFC2136{Server: addr, TSIG: v1alpha1.TSIG{KeyName: "calfed"}}, Secret: []byte(secret), Dial: dial}
	}
	authority := probe.NewAuthority(probe.AuthorityConfig{
		DNS:   resolver.New(resolver.Config{Server: addr}),
		Guard: netguard.New(netguard.Config{BackendCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Port:  netip.MustParseAddrPort(addr).Port(),
	})
	seen := func(name, rrtype string) []string {
		t.Helper()
		answers, err := authority.Lookup(t.Context(), name, rrtype)
		if err != nil {
			t.Fatal(err)
		}
		if len(answers.Servers) != 1 || answers.Servers[0].Err != nil {
			t.Fatalf("%+v", answers.Servers)
		}
		return answers.Servers[0].Data
	}

	first := publishAll(t, update(), want, nil)
	if !publish.Done(want, first.Ours) {
		t.Fatalf("%+v", first)
	}
	for _, r := range want {
		if diff := cmp.Diff([]string{r.Data()}, seen(r.Name, r.Type)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r.Name, diff)
		}
	}
	if again := publishAll(t, update(), want, first.Ours); again.Changed {
		t.Error("written where nothing had changed")
	}

	theirs := records.Record{Name: "theirs._domainkey.example.org.", Type: "TXT", TTL: 60, Text: []string{"v=DKIM1; p=ours"}}
	second := publishAll(t, update(), []records.Record{moved, theirs}, first.Ours)
	if len(second.Foreign) != 1 || second.Foreign[0].Seen != "v=DKIM1; p=somebody else's" {
		t.Errorf("%+v", second.Foreign)
	}
	if diff := cmp.Diff([]string{moved.Data()}, seen(moved.Name, "SRV")); diff != "" {
		t.Error(diff)
	}
	if got := seen(key.Name, "TXT"); got != nil {
		t.Errorf("not taken back: %v", got)
	}

	for name, tc := range map[string]struct {
		change func(*publish.Update)
		want   string
	}{
		"unknown key":       {func(u *publish.Update) { u.Settings.TSIG.KeyName = "other" }, "BADKEY"},
		"another secret":    {func(u *publish.Update) { u.Secret = []byte(another) }, "BADSIG"},
		"another algorithm": {func(u *publish.Update) { u.Settings.TSIG.Algorithm = "hmac-sha512" }, "BADKEY"},
		"a key without leave": {func(u *publish.Update) {
			u.Settings.TSIG = v1alpha1.TSIG{KeyName: "idle", Algorithm: "hmac-sha512"}
		}, "lets it do nothing"},
		"another's zone": {func(u *publish.Update) { u.Settings.Zone = "org" }, "primary"},
	} {
		t.Run(name, func(t *testing.T) {
			u := update()
			tc.change(u)
			var failure *publish.Error
			if _, err := u.Publish(t.Context(), want, publish.Claims(want, nil)); !errors.As(err, &failure) || !strings.Contains(failure.Message, tc.want) {
				t.Errorf("%v", err)
			} else {
				t.Log(failure.Message)
			}
		})
	}

	if last := publishAll(t, update(), nil, second.Ours); len(last.Ours) > 0 || seen(moved.Name, "SRV") != nil {
		t.Errorf("left: %+v, %v", last.Ours, seen(moved.Name, "SRV"))
	}
	if got := seen(theirs.Name, "TXT"); len(got) != 1 {
		t.Errorf("somebody else's is gone: %v", got)
	}
}
