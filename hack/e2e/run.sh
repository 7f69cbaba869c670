#!/usr/bin/env bash
# Runs the tests of this folder: on the cluster of KUBECONFIG, or else on that of hack/cluster (CLUSTER names it), which is started for
# them and ended after them unless it runs already. What a killed test leaves on this machine ends with it.
#   run.sh [FLAG...]     flags of go test, such as -run TestStory; -args -keep leaves in the cluster what the tests made
set -euo pipefail
# tests run in their own folder, where relative paths lead elsewhere; a CLUSTER_HOOK without a slash is in PATH
if [ -n "${KUBECONFIG:-}" ]; then KUBECONFIG=$(realpath "$KUBECONFIG"); fi
case ${CLUSTER_HOOK:-} in */*) CLUSTER_HOOK=$(realpath "$CLUSTER_HOOK") ;; esac
cd "$(dirname "$0")/../.."
cluster=$PWD/hack/cluster/cluster.sh
ours= child=
tmp=$(mktemp -d -t calfed.XXXXXX) # all that tests write, so that we find it
chmod 755 "$tmp"                  # calendar servers run as other users

finish() {
	local i d
	trap '' INT TERM
	if [ -n "$child" ]; then
		kill -TERM -- "-$child" 2>/dev/null || true
		for i in $(seq 100); do
			kill -0 -- "-$child" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL -- "-$child" 2>/dev/null || true
	fi
	for d in "$tmp"/calfed-e2e-*/*/; do
		if compgen -G "${d}run/*.pid" >/dev/null; then hack/interop/cyrus.sh down "$d" || true; fi
		if [ -e "${d}php.pid" ] || [ -d "${d}pg" ]; then hack/interop/davical.sh down "$d" || true; fi
	done
	for i in $(seq 50); do # the servers still write as they end
		rm -rf "$tmp" 2>/dev/null && break
		sleep 0.1
	done
	# the address of the name server of the tests; in a cluster of hack/cluster it was never this machine's
	if [ -n "${KUBECONFIG:-}" ]; then ip address delete 26.53.53.53/32 dev lo 2>/dev/null || true; fi
	if [ -n "$ours" ]; then "$cluster" down; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run runs a program in a process group of its own, so that a signal reaches us at once, and all of it can be ended.
run() {
	local status=0
	set -m
	"$@" </dev/null &
	child=$!
	set +m
	wait "$child" || status=$?
	child=
	return $status
}

inside=()
if [ -z "${KUBECONFIG:-}" ]; then
	# compiled out here, run inside the cluster's network, where no module can be fetched
	inside=(-exec "$cluster exec")
	if ! "$cluster" running; then
		ours=yes
		run "$cluster" up "${NODES:-3}" || {
			status=$?
			[ $status -ne 3 ] || ours= # somebody else was quicker
			exit $status
		}
	fi
fi
run env TMPDIR="$tmp" go test -tags e2e -count=1 -v -timeout 40m "${inside[@]}" ./hack/e2e "$@"
