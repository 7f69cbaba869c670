#!/usr/bin/env bash
# What the tests of hack/e2e ask of a cluster that Kubernetes itself cannot do, for a cluster of kind: CLUSTER_HOOK=hack/cluster/kind.sh, and its name in
# KIND_CLUSTER (default kind). Untested: there is no container engine where calfed is built.
#   kind.sh load ARCHIVE... | node-kill NODE | node-up NODE | api-down | api-up
set -euo pipefail
cluster=${KIND_CLUSTER:-kind}
manifest=/etc/kubernetes/manifests/kube-apiserver.yaml
verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
load) for archive in "$@"; do kind load image-archive "$archive" --name "$cluster"; done ;;
node-kill) docker kill "$1" ;;
node-up) docker start "$1" ;;
api-down) docker exec "$cluster-control-plane" mv "$manifest" /kube-apiserver.yaml ;;
api-up) docker exec "$cluster-control-plane" mv /kube-apiserver.yaml "$manifest" ;;
*) sed -n 2,4p "$0" >&2; exit 2 ;;
esac
