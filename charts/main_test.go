// Package charts_test renders the Helm chart, has a real API server take what comes out, and leads releases through their life.
package charts_test

import (
	"os"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
)

func TestMain(m *testing.M) {
	os.Exit(kubetest.Main(m))
}
