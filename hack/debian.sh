#!/usr/bin/env bash
# debian.sh PURPOSE PACKAGE... installs Debian packages that are not there, and starts nothing of them as a service.
set -euo pipefail
purpose=$1
shift
missing=()
# by status: dpkg knows removed packages, too, while their configuration is there
for p in "$@"; do [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p"); done
[ ${#missing[@]} -eq 0 ] && exit 0
[ "$(id -u)" = 0 ] || { echo "$purpose needs ${missing[*]}: run as root, or apt-get install them" >&2; exit 1; }
# a policy of "no" keeps the packages from starting daemons while they are installed
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "${missing[@]}"
