#!/usr/bin/env bash
# Installs what cluster.sh runs that is not built from Go modules: Debian's containerd, runc and network plugins; the authorities that images
# take along, and openssl, with which the README makes a certificate. Nothing is started as a service. Does nothing when all is there.
exec "$(dirname "$0")/../debian.sh" "a cluster" containerd runc containernetworking-plugins iptables nftables iproute2 procps curl util-linux ca-certificates openssl
