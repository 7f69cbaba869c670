#!/usr/bin/env bash
# Runs the tests of this folder: on the cluster of KUBECONFIG, or else on that of hack/cluster (CLUSTER names it), which is started for
# them and ended after them unless it runs already.
#   run.sh [FLAG...]     flags of go test, such as -run TestStory; -args -keep leaves in the cluster what the tests made
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -n "${KUBECONFIG:-}" ]; then exec go test -tags e2e -count=1 -v -timeout 40m ./hack/e2e "$@"; fi
cluster=$PWD/hack/cluster/cluster.sh
if ! "$cluster" status >/dev/null 2>&1; then
	trap '"$cluster" down' EXIT
	"$cluster" up "${NODES:-3}"
fi
# compiled out here, run inside the cluster's network, where no module can be fetched
go test -tags e2e -count=1 -v -timeout 40m -exec "$cluster exec" ./hack/e2e "$@"
