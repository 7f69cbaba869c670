#!/usr/bin/env bash
# Builds etcd and the Kubernetes programs (one binary, called by name) from their Go modules, once for each state of the two go.sum files,
# and prints the folder they are in: what KUBEBUILDER_ASSETS wants. With KUBEBUILDER_ASSETS set it builds nothing and prints that.
set -euo pipefail
cd "$(dirname "$0")"
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	echo "$KUBEBUILDER_ASSETS"
	exit
fi
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off
root=${XDG_CACHE_HOME:-$HOME/.cache}/calfed/kubernetes
key=$(cat etcd/go.sum kubeall/go.sum etcd/main.go kubeall/main.go <(go version) | sha256sum | cut -c1-16)
bin=$root/$key
mkdir -p "$bin"
exec 9>"$bin/.lock"
flock 9 # two builds at once would each take all of the machine
if [ ! -e "$bin/.built" ]; then
	version=$(go -C kubeall list -m -f '{{.Version}}' k8s.io/kubernetes)
	minor=$(cut -d. -f2 <<<"$version")
	ld="-s -w"
	for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		ld+=" -X $p.gitVersion=$version -X $p.gitMajor=1 -X $p.gitMinor=$minor -X $p.gitTreeState=clean"
		ld+=" -X $p.gitCommit=0000000000000000000000000000000000000000 -X $p.buildDate=1970-01-01T00:00:00Z"
	done
	echo "building etcd and Kubernetes $version into $bin: ten minutes of two cores, once" >&2
	CGO_ENABLED=0 go build -C etcd -trimpath -ldflags "-s -w" -o "$bin/etcd" . >&2
	CGO_ENABLED=0 go build -C kubeall -trimpath -ldflags "$ld" -o "$bin/kubeall" . >&2
	for n in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
		ln -sf kubeall "$bin/$n"
	done
	touch "$bin/.built"
fi
echo "$bin"
