//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calfed/calfed/hack/deploytest"
)

// The README's section about clusters, word for word, up to resources that are Ready. The file comes before those whose tests share a release.
func TestReadme(t *testing.T) {
	g := onGround(t)
	dumpIfFailed(t)
	g.none(t)
	commands := blocks(t, "../../README.md", "## In a cluster")
	if len(commands) != 2 || !strings.Contains(commands[0], "make cluster-up cluster-load") {
		t.Fatalf("the section is not what this test knows: %q", commands)
	}
	g.namespaces = append(g.namespaces, systemNS, "federation") // none of them was there, as onGround says, and none says whose it is
	t.Cleanup(func() {
		for _, ns := range []string{systemNS, "federation"} {
			if out, err := g.tryKubectl(context.Background(), "", "label", "namespace", ns, "--overwrite", mark+"="); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
		if err := g.uninstall(context.Background(), map[string]string{systemNS: "calfed"}); err != nil {
			t.Error(err)
		}
		// the next release is there, too
		if err := g.deleteNamespaces(context.Background(), []string{systemNS}, "--timeout=3m"); err != nil {
			t.Error(err)
		}
	})
	// the first block is what brought this cluster, or another that is there already
	cmd := exec.CommandContext(t.Context(), "bash", "-euxc", commands[1])
	cmd.Dir = t.TempDir()
	helm, err := deploytest.HelmProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(helm)+":"+os.Getenv("PATH"), "HELM_CACHE_HOME="+cmd.Dir, "HELM_CONFIG_HOME="+cmd.Dir, "HELM_DATA_HOME="+cmd.Dir)
	for _, folder := range []string{"charts", "config", "bin"} {
		from, err := filepath.Abs("../../" + folder)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, filepath.Join(cmd.Dir, folder)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"_ischedules._tcp.example.org", "_domainkey_lookup._tcp.example.org", "cal._domainkey.example.org"} {
		if !strings.Contains(string(out), name) {
			t.Errorf("the last command does not show the record %s", name)
		}
	}
	g.publishUntilReady(t, "federation")
	t.Logf("with the records published:\n%s", g.kubectl(t, "", "-n", "federation", "get", "calfed"))
}

// blocks are the indented blocks of a section of a Markdown file.
func blocks(t testing.TB, file, heading string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", file, heading)
	}
	section, _, _ := strings.Cut(rest, "\n## ")
	var out []string
	inside := false
	for line := range strings.Lines(section) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && inside:
			out[len(out)-1] += code
		case indented:
			out = append(out, code)
		}
		inside = indented
	}
	return out
}
