#!/usr/bin/env bash
# A real OpenSMTPD as Debian ships it (install.sh beside this file) as smarthost: it takes mail for everybody and keeps it.
#   smarthost.sh up DIR PORT NAME     NAME is what it calls itself
#   smarthost.sh down DIR
# SMTP: 127.0.0.1:PORT. What came for guest@mail.example lies in DIR/mail/guest@mail.example/new/, a file a mail, with the fields that
# OpenSMTPD puts in front. DIR/log has a line "smtp message" for each mail taken, before it was answered.
# It runs in a mount namespace of its own (own /var/spool and /run); loopback only; nothing outside DIR is written.
# DIR and its parents must be readable by the user nobody.
set -euo pipefail
case "${1:-}" in
up) D=$(realpath -m "$2"); PORT=$3; NAME=$4 ;;
down) D=$(realpath "$2"); [ -f "$D/smtpd.pid" ] && kill "$(cat "$D/smtpd.pid")" 2>/dev/null || true; exit 0 ;;
*) sed -n 2,9p "$0"; exit 2 ;;
esac
mkdir -p "$D/mail"; chmod 755 "$D"; chown nobody "$D/mail"
cat > "$D/smtpd.conf" <<C
table everybody { "@" = nobody }
listen on 127.0.0.1 port $PORT hostname $NAME
action "keep" maildir "$D/mail/%{rcpt}" virtual <everybody>
match from any for any action "keep"
C
setsid unshare -m --propagation private bash -c '
D=$1; mount -t tmpfs tmpfs /var/spool; mkdir -m 711 /var/spool/smtpd; mount -t tmpfs tmpfs /run
echo $$ > "$D/smtpd.pid"
exec smtpd -d -f "$D/smtpd.conf"
' _ "$D" </dev/null >"$D/log" 2>&1 &
for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/"$PORT") 2>/dev/null && break; sleep 0.1; done
