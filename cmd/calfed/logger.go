package main

import (
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
		return slog.New(slog.NewJSONHandler(to, opt)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", format)
}
