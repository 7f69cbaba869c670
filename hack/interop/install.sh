#!/usr/bin/env bash
# Installs what the interop tests start, all as Debian ships it: Cyrus IMAP, DAViCal and Radicale (calendars), OpenSMTPD (mail), dnsmasq and knot (DNS).
# Nothing is started as a service. Does nothing when all is there.
set -euo pipefail
packages=(cyrus-imapd cyrus-caldav cyrus-common cyrus-admin sasl2-bin libsasl2-modules dnsmasq-base python3 curl openssl
	davical php-cli php-pgsql php-curl php-xml postgresql radicale opensmtpd knot)
missing=()
for p in "${packages[@]}"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
[ ${#missing[@]} -eq 0 ] && exit 0
[ "$(id -u)" = 0 ] || { echo "interop needs ${missing[*]}: run as root, or apt-get install them" >&2; exit 1; }
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
