package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// newLogger makes the logger that --log-format and --log-level ask for.
func newLogger(to io.Writer, format, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	opt := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(to, opt)), nil
	case "json":
		opt.ReplaceAttr = worded
		return slog.New(slog.NewJSONHandler(to, opt)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", format)
}

// worded has values say what they are that have words for it and no JSON of their own, as they do in text. Many have none at all:
// controller-runtime logs functions.
func worded(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch v := a.Value.Any().(type) {
	case json.Marshaler, encoding.TextMarshaler, error:
	case fmt.Stringer:
		a.Value = slog.StringValue(fmt.Sprint(v)) // which survives a nil
	}
	return a
}
