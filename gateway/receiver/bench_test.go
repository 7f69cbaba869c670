package receiver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/calfed/calfed/gateway/backend"
	"github.com/calfed/calfed/gateway/ischedule"
	"github.com/calfed/calfed/gateway/receiver"
	"github.com/calfed/calfed/gateway/snapshot"
)

// The whole pipeline without HTTP and TLS: a signed REQUEST of 2 KB and of 100 KB, delivered to a back end that does nothing.
func BenchmarkPost(b *testing.B) {
	for _, key := range []struct{ name, selector, file string }{{"RSA-2048", "rsa", "sender.rsa.pem"}, {"Ed25519", "ed", "sender.ed25519.pem"}} {
		for _, size := range []int{2 << 10, 100 << 10} {
			b.Run(fmt.Sprintf("%s/%dKB", key.name, size>>10), func(b *testing.B) {
				w := newWorld(b, func(w *world) { w.snap.Gateway.Capabilities.MaxContentLength = 1 << 20 })
				active, err := snapshot.Activate(w.snap)
				if err != nil {
					b.Fatal(err)
				}
				r := receiver.New(receiver.Config{
					Active: active, Keys: w.keys, Now: w.clock, Backends: map[string]backend.Backend{"gw.example": idle{}},
					Shared: &receiver.Shared{Metrics: receiver.NewMetrics(nil)}, Log: slog.New(slog.NewJSONHandler(io.Discard, nil)),
				})
				m := invitation(b, "").sign(b, "sender.example", key.selector, key.file)
				filler := strings.Repeat("DESCRIPTION:"+strings.Repeat("text ", 12)+"\r\n", 1)
				m.body = strings.Replace(m.body, "SUMMARY", strings.Repeat("X-"+filler, (size-len(m.body))/(len(filler)+2))+"SUMMARY", 1)
				requests := make([]*http.Request, b.N)
				for i := range requests {
					m.set("iSchedule-Message-ID", fmt.Sprint(i))
					requests[i] = m.request(b)
					requests[i].Body = io.NopCloser(bytes.NewReader([]byte(m.body)))
				}
				b.SetBytes(int64(len(m.body)))
				b.ReportAllocs()
				b.ResetTimer()
				for _, req := range requests {
					rec := httptest.NewRecorder()
					r.ServeHTTP(rec, req)
					if rec.Code != 200 {
						b.Fatal(rec.Code, rec.Body)
					}
				}
			})
		}
	}
}

// idle takes everything and does nothing.
type idle struct{}

func (idle) Deliver(ctx context.Context, d *backend.Delivery) ([]backend.Result, error) {
	return always(ischedule.StatusDelivered)(ctx, d)
}

func (idle) Close() {}
