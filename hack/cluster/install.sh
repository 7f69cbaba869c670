#!/usr/bin/env bash
# Installs what cluster.sh runs that is not built from Go modules: Debian's containerd, runc and network plugins. Does nothing when it is there.
set -euo pipefail
packages=(containerd runc containernetworking-plugins iptables nftables iproute2 procps curl util-linux)
missing=()
for p in "${packages[@]}"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
[ ${#missing[@]} -eq 0 ] && exit 0
[ "$(id -u)" = 0 ] || { echo "a cluster needs ${missing[*]}: run as root, or apt-get install them" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "${missing[@]}"
