#!/usr/bin/env bash
# A real Kubernetes cluster on one machine, every node in Linux namespaces of its own (root needed):
#   cluster.sh up [N]           control plane, N nodes (default 3), cluster DNS, metrics API
#   cluster.sh load ARCHIVE...  import images (OCI archives) into every node
#   cluster.sh exec CMD...      run CMD inside the cluster's network, KUBECONFIG set, kubectl and helm in PATH
#   cluster.sh status           nodes and pods
#   cluster.sh running          ends with 0 when it runs, else with 1: looks at processes alone
#   cluster.sh node-kill NODE   pull its plug          cluster.sh node-up NODE   boot it again
#   cluster.sh api-down         stop the API server    cluster.sh api-up         start it again
#   cluster.sh down             end it, and forget all it had
# CLUSTER=name (default calfed) chooses among clusters side by side. Nothing listens on, or sends through, the machine's own network:
# what cannot be fetched from in there must be there before. `up` ends with 3 when the cluster runs already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
CLUSTER=${CLUSTER:-calfed}
S=${XDG_CACHE_HOME:-$HOME/.cache}/calfed/cluster/$CLUSTER
CP_IP=10.200.0.1 SVC_CIDR=10.96.0.0/16 POD_CIDR=10.244.0.0/16
MAX_NODES=5
node_ip() { echo 10.200.0.$((10 + $1)); }
log() { echo "$*" >&2; }
die() { echo "cluster.sh: $*" >&2; exit 1; }

# programs builds, or finds, what nodes run.
programs() {
	local missing=() p
	for p in containerd runc nft iptables ip curl nsenter; do command -v "$p" >/dev/null || missing+=("$p"); done
	[ -x /usr/lib/cni/bridge ] || missing+=("containernetworking-plugins")
	[ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]} (hack/cluster/install.sh installs them on Debian)"
	[ "$(id -u)" = 0 ] || die "run as root: nodes are namespaces, with mounts and cgroups of their own"
	[ -d /sys/fs/cgroup/cpuset ] || die "nodes need cgroup v1, and this machine has none in /sys/fs/cgroup: Debian 12 has it with the kernel parameters" \
		"systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
	[ -z "${KUBEBUILDER_ASSETS:-}" ] || [ -x "$KUBEBUILDER_ASSETS/kubelet" ] ||
		die "KUBEBUILDER_ASSETS is set, and has no kubelet: $KUBEBUILDER_ASSETS. Unset it, and what nodes run is built"
	tools
}
tools() {
	KUBE=$("$here/build.sh")
	ADDONS=$("$here/addons.sh")
	export PATH=$S/bin:$KUBE:$ADDONS/bin:$PATH ADDONS
}

# child is the first child of a process, the init of its namespaces, once it exists.
child() {
	local c
	for _ in $(seq 100); do
		c=$(cat "/proc/$1/task/$1/children" 2>/dev/null || true)
		c=${c%% *}
		[ -n "$c" ] && { echo "$c"; return; }
		sleep 0.05
	done
	return 1
}
# started is when a process began, field 22 of its stat: the second field, its name, may have blanks and parentheses.
started() {
	local s
	s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	read -ra s <<<"${s##*) }"
	echo "${s[19]}"
}
# note FILE PID writes down a process with its beginning: the number alone may be another's, after a reboot or once all were given.
note() {
	started "$2" >"$S/$1.start" || true
	echo "$2" >"$S/$1.pid"
}
# pid FILE is the process that was noted, if it is still there.
pid() {
	local p t
	p=$(cat "$S/$1.pid" 2>/dev/null) && t=$(started "$p") && [ "$t" = "$(cat "$S/$1.start" 2>/dev/null)" ] && echo "$p"
}
alive() { pid "$1/init" >/dev/null; }
in_cp() { nsenter --net="/proc/$(cat "$S/cp/init.pid")/ns/net" -- "$@"; }
# other clusters have the same address: what kubectl remembers of the API must not be theirs
export KUBECACHEDIR=$S/kubectl
kubectl() { in_cp kubectl --kubeconfig "$S/pki/admin.kubeconfig" "$@"; }
need() { alive cp || die "cluster $CLUSTER does not run: cluster.sh up"; }

# index of a node's name: node2 is 2.
index() {
	[[ $1 =~ ^node([1-$MAX_NODES])$ ]] || die "$1: nodes are node1 to node$MAX_NODES"
	echo "${BASH_REMATCH[1]}"
}

# enter_cgroups NODE PID puts a process into cgroups of the node's own, in every v1 hierarchy; unshare --cgroup makes them the roots.
enter_cgroups() {
	local lines line ctl own d
	mapfile -t lines </proc/self/cgroup # all of it first: the file changes as we move
	for line in "${lines[@]}"; do
		IFS=: read -r _ ctl own <<<"$line"
		case $ctl in "") continue ;; name=*) ctl=${ctl#name=} ;; esac
		[ -d "/sys/fs/cgroup/$ctl" ] || continue
		d=/sys/fs/cgroup/$ctl${own%/}/$CLUSTER-$1
		mkdir -p "$d"
		if [ "$ctl" = cpuset ]; then
			cat "$d/../cpuset.cpus" >"$d/cpuset.cpus"
			cat "$d/../cpuset.mems" >"$d/cpuset.mems"
		fi
		echo "$2" >"$d/cgroup.procs"
		echo "$d" >>"$S/$1/cgroups"
	done
}

up_cp() {
	mkdir -p "$S/cp/etcd" "$S/cp/log"
	rm -f "$S/cp/api-down" "$S/cp/kube-apiserver.pid"
	local nodes=() i p c
	for i in $(seq $MAX_NODES); do nodes+=("node$i=$(node_ip "$i")"); done
	[ -f "$S/pki/admin.kubeconfig" ] || mkpki -out "$S/pki" -server https://$CP_IP:6443 -cp-ip $CP_IP -svc-ip 10.96.0.1 "${nodes[@]}"
	export S CP_IP SVC_CIDR POD_CIDR
	setsid unshare --mount --net --pid --fork --kill-child=KILL bash "$here/controlplane.sh" </dev/null >"$S/cp/log/init.log" 2>&1 &
	p=$!
	note cp/unshare $p
	c=$(child $p) || { cat "$S/cp/log/init.log" >&2; die "the control plane ended"; }
	note cp/init "$c"
	for _ in $(seq 600); do
		if in_cp curl -fsk --max-time 2 --cert "$S/pki/admin.crt" --key "$S/pki/admin.key" https://$CP_IP:6443/readyz >/dev/null 2>&1; then return; fi
		[ -d /proc/$p ] || { cat "$S/cp/log/init.log" >&2; die "the control plane ended"; }
		sleep 0.1
	done
	die "the API server is not ready after a minute: $S/cp/log"
}

up_node() { # index
	local i=$1 n=node$1 p c
	mkdir -p "$S/$n/log"
	rm -f "$S/$n/cgroups" "$S/$n/net-ready"
	NODE_IP=$(node_ip "$i")
	export S NODE=$n NODE_INDEX=$i NODE_IP CP_IP SVC_CIDR POD_CIDR MAX_NODES
	(
		enter_cgroups "$n" "$BASHPID"
		unset TMPDIR # the caller's, which may end before the node
		exec setsid unshare --mount --net --pid --cgroup --uts --ipc --fork --kill-child=KILL bash "$here/node.sh"
	) </dev/null >"$S/$n/log/init.log" 2>&1 &
	p=$!
	note "$n/unshare" $p
	for _ in $(seq 100); do
		[ "$(readlink /proc/$p/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
		sleep 0.02
	done
	c=$(child $p)
	note "$n/init" "$c"
	in_cp ip link add "$n" type veth peer name eth0 address "02:00:0a:c8:01:0$i" netns "$c"
	in_cp ip link set "$n" master br0 up
	in_cp ip route replace "10.244.$i.0/24" via "$NODE_IP"
	if [ "$i" = 1 ]; then in_cp ip route replace $SVC_CIDR via "$NODE_IP"; fi
	touch "$S/$n/net-ready"
}

# halt: off the network first, as without power no process says goodbye. The kernel kills the whole pid namespace with its init. The empty
# cgroups go after it: left in place they cost the next kubelet 15 s, in which it tries to recover dead containers.
halt() { # name
	local d=$S/$1 p c
	[ -f "$d/unshare.pid" ] || return 0
	if [ "$1" != cp ] && alive cp; then in_cp ip link set "$1" down 2>/dev/null || true; fi
	if p=$(pid "$1/unshare"); then kill -KILL "$p" 2>/dev/null || true; fi
	for _ in $(seq 200); do
		alive "$1" || break
		sleep 0.05
	done
	if alive cp; then in_cp ip link del "$1" 2>/dev/null || true; fi # its network goes a little later than its processes
	[ -f "$d/cgroups" ] || return 0
	while read -r c; do
		if [ -d "$c" ]; then find "$c" -depth -type d -exec rmdir {} \; 2>/dev/null || true; fi
	done <"$d/cgroups"
}

load_one() { # node archive...
	local n=$1 t
	shift
	for t in "$@"; do nsenter -t "$(cat "$S/$n/init.pid")" -m -n -p -- ctr -n k8s.io images import "$t" >/dev/null; done
}

case "${1:-}" in
up)
	programs
	N=${2:-3}
	[[ $N =~ ^[1-$MAX_NODES]$ ]] || die "$N: 1 to $MAX_NODES nodes"
	alive cp && { log "cluster $CLUSTER runs already"; exit 3; }
	begin=$SECONDS
	mkdir -p "$S/bin"
	ln -sf "$(go -C "$here/../deploytools" tool -n helm)" "$S/bin/helm"
	up_cp
	log "control plane ready after $((SECONDS - begin)) s"
	kubectl apply -f "$here/manifests" >/dev/null
	for i in $(seq "$N"); do up_node "$i"; done
	for i in $(seq "$N"); do
		for _ in $(seq 600); do kubectl get "node/node$i" >/dev/null 2>&1 && break; sleep 0.1; done
		kubectl wait --for=condition=Ready "node/node$i" --timeout=120s >/dev/null
	done
	log "$N nodes Ready after $((SECONDS - begin)) s"
	kubectl -n kube-system rollout status deployment --timeout=120s >/dev/null
	log "DNS and the metrics API run after $((SECONDS - begin)) s: KUBECONFIG=$S/pki/admin.kubeconfig, by cluster.sh exec" ;;
exec)
	shift
	need
	tools
	KUBECONFIG=$S/pki/admin.kubeconfig CLUSTER_HOOK=${CLUSTER_HOOK:-$here/cluster.sh} CLUSTER=$CLUSTER in_cp "$@" ;;
load)
	shift
	need
	archives=()
	for t in "$@"; do archives+=("$(realpath "$t")"); done
	waits=()
	for d in "$S"/node*/; do
		n=$(basename "$d")
		alive "$n" || continue
		load_one "$n" "${archives[@]}" &
		waits+=($!)
	done
	for p in "${waits[@]}"; do wait "$p"; done ;;
node-kill) need; index "${2:-}" >/dev/null; halt "$2" ;;
node-up)
	need
	programs
	alive "$2" && die "$2 runs"
	up_node "$(index "$2")" ;;
api-down)
	need
	[ -e "$S/cp/api-down" ] && exit
	touch "$S/cp/api-down"
	# KILL: it would serve its watches for another minute. Without the file none runs, and none starts.
	if p=$(cat "$S/cp/kube-apiserver.pid" 2>/dev/null); then
		nsenter --pid="/proc/$(cat "$S/cp/init.pid")/ns/pid" -- kill -KILL "$p"
	fi ;;
api-up) need; rm -f "$S/cp/api-down" ;;
running) alive cp ;;
status) need; tools; kubectl get nodes,pods -A -o wide ;;
down)
	for d in "$S"/node*/ "$S"/cp/; do halt "$(basename "$d")"; done
	rm -rf "$S" ;;
*) sed -n '2,/^set/{/^set/!p}' "$0" >&2; exit 2 ;;
esac
