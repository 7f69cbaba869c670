#!/usr/bin/env bash
# PID 1 of one node's namespaces: mounts and cgroups of its own, then containerd, kubelet and kube-proxy.
set -euo pipefail
D=$S/$NODE P=$S/pki L=$S/$NODE/log
mount --make-rprivate /
mount -t proc proc /proc
hostname "$NODE"
# places to write that are the node's, not the machine's
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
for d in var/lib/kubelet var/lib/containerd var/lib/cni var/log/pods var/log/containers etc/cni/net.d opt/cni/bin; do
	mkdir -p "$D/fs/$d" "/$d"
	mount --bind "$D/fs/$d" "/$d"
done
mount --make-rshared /var/lib/kubelet
# sysfs of this network, and the v1 cgroup hierarchies, rooted at the node's own by its cgroup namespace
umount -R /sys/fs/cgroup || true
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
for c in cpu cpuacct cpuset memory devices freezer blkio pids; do
	mkdir "/sys/fs/cgroup/$c"
	mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c"
done
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
echo 1 >/sys/fs/cgroup/cpuset/cgroup.clone_children || true
# settings of the kernel that the kubelet insists on are the machine's: it is shown what it wants, and nothing changes
mkdir -p "$D/sysctl"
for kv in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	f="$D/sysctl/${kv%%=*}"
	mkdir -p "$(dirname "$f")"
	echo "${kv##*=}" >"$f"
	mount --bind "$f" "/proc/sys/${kv%%=*}"
done
ip link set lo up
for _ in $(seq 200); do
	[ -e "$D/net-ready" ] && break
	sleep 0.05
done
ip addr add "$NODE_IP/24" dev eth0
ip link set eth0 up
ip route add default via "$CP_IP"
for i in $(seq "$MAX_NODES"); do [ "$i" = "$NODE_INDEX" ] || ip route replace "10.244.$i.0/24" via "10.200.0.$((10 + i))"; done
sysctl -qw net.ipv4.ip_forward=1 || true
sysctl -qw net.bridge.bridge-nf-call-iptables=1 || true
sysctl -qw net.ipv4.conf.all.route_localnet=1 || true

cat >/etc/cni/net.d/10-bridge.conflist <<J
{"cniVersion":"1.0.0","name":"pods","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.$NODE_INDEX.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
J
cat >"$D/containerd.toml" <<T
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "calfed.test/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
T
cat >"$D/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $P/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $P/kubelet-$NODE-serving.crt
tlsPrivateKeyFile: $P/kubelet-$NODE-serving.key
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
resolvConf: ""
oomScoreAdj: 0
volumePluginDir: /var/lib/kubelet/volumeplugins
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
protectKernelDefaults: true
serializeImagePulls: false
Y
cat >"$D/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $P/kube-proxy.kubeconfig}
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
Y

# keep starts a process again a second after it ended.
keep() {
	local n=$1
	shift
	(while :; do
		"$@" >>"$L/$n.log" 2>&1 || true
		echo "ended: $n" >>"$L/$n.log"
		sleep 1
	done) &
}
keep containerd containerd --config "$D/containerd.toml"
for _ in $(seq 300); do
	ctr version >/dev/null 2>&1 && break
	sleep 0.1
done
for t in "$ADDONS"/images/*.tar; do ctr -n k8s.io images import "$t"; done
keep kubelet kubelet --config "$D/kubelet.yaml" --kubeconfig "$P/kubelet-$NODE.kubeconfig" \
	--hostname-override "$NODE" --node-ip "$NODE_IP" --node-labels "kubernetes.io/os=linux" -v 1
keep kube-proxy kube-proxy --config "$D/kube-proxy.yaml" -v 1
while :; do wait -n || true; sleep 1; done
