package controllers_test

import (
	_ "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)
