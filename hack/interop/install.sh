#!/usr/bin/env bash
# Installs what the interop tests start, all as Debian ships it: Cyrus IMAP, DAViCal and Radicale (calendars), OpenSMTPD (mail), dnsmasq and knot (DNS).
# Nothing is started as a service. Does nothing when all is there.
exec "$(dirname "$0")/../debian.sh" interop cyrus-imapd cyrus-caldav cyrus-common cyrus-admin sasl2-bin libsasl2-modules dnsmasq-base python3 curl openssl \
	davical php-cli php-pgsql php-curl php-xml postgresql radicale opensmtpd knot
