package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"calfed": main, "sendmail": main})
}

// TestScripts runs the command as a user would: each testdata/script/*.txtar is one session at a prompt.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			vectors, err := filepath.Abs("testdata/vectors") // requests with CRLF, which txtar files cannot hold
			env.Setenv("VECTORS", vectors)
			return err
		},
	})
}
