#!/usr/bin/env bash
# Builds what a cluster has beside Kubernetes itself (CoreDNS, metrics-server, the pause program) into images, and the tools that make
# them, once for each state of their sources; prints the folder: bin/ has the tools, images/ the OCI archives.
set -euo pipefail
cd "$(dirname "$0")"
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off CGO_ENABLED=0
root=${XDG_CACHE_HOME:-$HOME/.cache}/calfed/addons
key=$(cat addons/go.sum addons/*/main.go tools/go.sum tools/*/*.go addons.sh <(go version) | sha256sum | cut -c1-16)
dir=$root/$key
mkdir -p "$dir"/{bin,images,files}
exec 9>"$dir/.lock"
flock 9
if [ ! -e "$dir/.built" ]; then
	echo "building CoreDNS, metrics-server and tools into $dir: three minutes of two cores, once" >&2
	go build -C tools -trimpath -ldflags "-s -w" -o "$dir/bin/" ./mkpki ./image >&2
	go build -C tools -trimpath -ldflags "-s -w" -o "$dir/files/" ./pause >&2
	go build -C addons -trimpath -ldflags "-s -w" -o "$dir/files/" ./coredns ./metrics-server >&2
	for n in pause coredns metrics-server; do
		"$dir/bin/image" -name "calfed.test/$n:1" -out "$dir/images/$n.tar" -entrypoint "/$n" "/$n=$dir/files/$n"
	done
	rm -r "$dir/files"
	touch "$dir/.built"
fi
echo "$dir"
