package main

import (
	"time"

	"github.com/spf13/pflag"
)

// servingOptions are the flags that every way to run a gateway has.
type servingOptions struct {
	public, submit           string
	smtp, admin              string
	drainDelay, drainTimeout time.Duration
	logFormat, logLevel      string
}

func (o *servingOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.public, "public-addr", ":8443", "`ADDR` for other organisations")
	f.StringVar(&o.submit, "submit-addr", "127.0.0.1:8080", "`ADDR` for local calendar systems, empty for none")
	f.StringVar(&o.smtp, "smtp-addr", "", "`ADDR` for mail from local systems (spec.submission.smtp), empty for none")
	f.StringVar(&o.admin, "admin-addr", "127.0.0.1:8081", "`ADDR` for metrics and health, empty for none")
	f.DurationVar(&o.drainDelay, "drain-delay", 0, "serve on for so long after /readyz has begun to fail")
	f.DurationVar(&o.drainTimeout, "drain-timeout", 25*time.Second, "time for requests under way at the end")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
}
