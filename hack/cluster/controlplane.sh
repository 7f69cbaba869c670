#!/usr/bin/env bash
# PID 1 of the control plane's namespaces: a bridge that nodes plug into, etcd and the control plane.
set -euo pipefail
mount --make-rprivate /
mount -t proc proc /proc
ip link set lo up
# a fixed MAC: without one the bridge takes that of a node, and another when that goes
ip link add br0 address 02:00:0a:c8:00:01 type bridge
ip addr add "$CP_IP/24" dev br0
ip link set br0 up
sysctl -qw net.ipv4.ip_forward=1
P=$S/pki L=$S/cp/log

# keep starts a process again a second after it ended, as static pods are; not while $S/cp/api-down is there and it is the API server.
keep() {
	local n=$1
	shift
	(
		while :; do
			while [ "$n" = kube-apiserver ] && [ -e "$S/cp/api-down" ]; do sleep 0.2; done
			"$@" >>"$L/$n.log" 2>&1 &
			echo $! >"$S/cp/$n.pid.new"
			mv "$S/cp/$n.pid.new" "$S/cp/$n.pid"
			wait $! || true
			rm -f "$S/cp/$n.pid" # the number may become another's
			echo "ended: $n" >>"$L/$n.log"
			sleep 1
		done
	) &
}

keep etcd etcd --data-dir "$S/cp/etcd" --unsafe-no-fsync \
	--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380 --log-level warn
keep kube-apiserver kube-apiserver \
	--advertise-address="$CP_IP" --bind-address=0.0.0.0 --secure-port=6443 --etcd-servers=http://127.0.0.1:2379 \
	--service-cluster-ip-range="$SVC_CIDR" --allow-privileged=true --authorization-mode=Node,RBAC \
	--enable-admission-plugins=NodeRestriction --client-ca-file="$P/ca.crt" \
	--tls-cert-file="$P/apiserver.crt" --tls-private-key-file="$P/apiserver.key" \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--service-account-key-file="$P/sa.pub" --service-account-signing-key-file="$P/sa.key" \
	--kubelet-certificate-authority="$P/ca.crt" --kubelet-client-certificate="$P/apiserver-kubelet-client.crt" \
	--kubelet-client-key="$P/apiserver-kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
	--requestheader-client-ca-file="$P/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
	--requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
	--requestheader-username-headers=X-Remote-User --proxy-client-cert-file="$P/front-proxy-client.crt" \
	--proxy-client-key-file="$P/front-proxy-client.key" --enable-aggregator-routing=true --endpoint-reconciler-type=lease
# Both elect a leader although they are alone: one that cannot renew its lease ends, and so comes back without stale memories of nodes after
# the API server was away, as on any cluster.
keep kube-controller-manager kube-controller-manager --kubeconfig="$P/kube-controller-manager.kubeconfig" \
	--authentication-kubeconfig="$P/kube-controller-manager.kubeconfig" --authorization-kubeconfig="$P/kube-controller-manager.kubeconfig" \
	--bind-address=127.0.0.1 --use-service-account-credentials=true \
	--service-account-private-key-file="$P/sa.key" --root-ca-file="$P/ca.crt" --client-ca-file="$P/ca.crt" \
	--requestheader-client-ca-file="$P/front-proxy-ca.crt" \
	--cluster-signing-cert-file="$P/ca.crt" --cluster-signing-key-file="$P/ca.key" \
	--allocate-node-cidrs=false --cluster-cidr="$POD_CIDR" --service-cluster-ip-range="$SVC_CIDR" \
	--node-monitor-grace-period=20s --controllers='*,bootstrap-signer-controller,token-cleaner-controller'
keep kube-scheduler kube-scheduler --kubeconfig="$P/kube-scheduler.kubeconfig" \
	--authentication-kubeconfig="$P/kube-scheduler.kubeconfig" --authorization-kubeconfig="$P/kube-scheduler.kubeconfig" \
	--bind-address=127.0.0.1
while :; do wait -n || true; sleep 1; done
