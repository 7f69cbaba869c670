#!/usr/bin/env bash
# Installs what cluster.sh runs that is not built from Go modules: Debian's containerd, runc and network plugins. Nothing is started as a
# service. Does nothing when all is there.
exec "$(dirname "$0")/../debian.sh" "a cluster" containerd runc containernetworking-plugins iptables nftables iproute2 procps curl util-linux
