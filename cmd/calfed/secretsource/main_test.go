package secretsource_test

import (
	"os"
	"testing"

	"github.com/calfed/calfed/controllers/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }
