package sender_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/netguard/catest"
	"github.com/calfed/calfed/gateway/snapshot"
)

// BenchmarkSend is the whole outbound path: one invitation to one recipient, judged, looked up (from cache), signed, and
// posted to a TLS server in this process, which does nothing but answer.
func BenchmarkSend(b *testing.B) {
	const to = "mailto:bob@peer.example"
	for _, algorithm := range []string{"rsa", "ed"} {
		for _, size := range []int{2 << 10, 100 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", map[string]string{"rsa": "RSA-2048", "ed": "Ed25519"}[algorithm], size>>10), func(b *testing.B) {
				port := answeringServer(b, "cal.peer.example", to)
				zone := "_ischedules._tcp.peer.example. 60 IN SRV 0 0 " + port + " cal.peer.example.\ncal.peer.example. 60 IN A 127.0.0.1\n"
				s, a := realSender(b, zone, func(c *snapshot.Snapshot) {
					c.Domains[1].Signing.Keys = []snapshot.Key{signingKey(b, "example.org", algorithm)}
				})
				line := "COMMENT:" + strings.Repeat("y", 64)
				comments := (size - len(invitation([]string{to}))) / (len(line) + 2)
				body := invitation([]string{to}, slices.Repeat([]string{line}, comments)...)
				sub := submission(b, a, body, to)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						response, refusal := s.Send(b.Context(), sub)
						if refusal != nil || response.Results[0].Status != ischedule.StatusDelivered {
							b.Errorf("%v %+v", refusal, response)
							return
						}
					}
				})
			})
		}
	}
}

// answeringServer is a peer that takes everything for one recipient.
func answeringServer(b *testing.B, host, to string) (port string) {
	b.Helper()
	leaf, err := testCA().Issue(catest.Leaf{DNS: []string{host}})
	if err != nil {
		b.Fatal(err)
	}
	c := capabilities()
	document := c.Marshal()
	answer := (&ischedule.Response{Results: []ischedule.RecipientResult{{Recipient: to, Status: ischedule.StatusDelivered}}}).Marshal()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("iSchedule-Capabilities", "7")
		w.Header().Set("Content-Type", "application/xml; charset=utf-8")
		if req.Method == http.MethodGet {
			w.Header().Set("Cache-Control", "max-age=3600")
			_, _ = w.Write(document)
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = w.Write(answer)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	server.StartTLS()
	b.Cleanup(server.Close)
	return server.URL[strings.LastIndexByte(server.URL, ':')+1:]
}
