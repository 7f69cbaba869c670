#!/usr/bin/env bash
# A real Radicale as Debian ships it (install.sh beside this file) as CalDAV server; it has no scheduling of any kind.
#   radicale.sh up DIR HTTP_PORT USER...   users log in as USER with password pwUSER
#   radicale.sh down DIR
# CalDAV homes: http://127.0.0.1:HTTP_PORT/USER/ (calendar); the user gateway, password pwgateway, may read and write all of them.
# It listens at the address LISTEN in the environment, loopback by default; nothing outside DIR is written.
set -euo pipefail
LISTEN=${LISTEN:-127.0.0.1}
case "${1:-}" in
up) D=$(realpath -m "$2"); HTTP=$3; shift 3 ;;
down) D=$(realpath "$2"); [ -f "$D/radicale.pid" ] && kill "$(cat "$D/radicale.pid")" 2>/dev/null || true; exit 0 ;;
*) sed -n 2,6p "$0"; exit 2 ;;
esac
mkdir -p "$D/data"
for u in "$@" gateway; do printf '%s:pw%s\n' "$u" "$u"; done > "$D/users"
cat > "$D/rights" <<'C'
[gateway]
user: gateway
collection: .*
permissions: RrWw

[root]
user: .+
collection:
permissions: R

[principal]
user: .+
collection: {user}
permissions: RW

[calendars]
user: .+
collection: {user}/[^/]+
permissions: rw
C
cat > "$D/config" <<C
[server]
hosts = $LISTEN:$HTTP
[auth]
type = htpasswd
htpasswd_filename = $D/users
htpasswd_encryption = plain
delay = 0
[rights]
type = from_file
file = $D/rights
[storage]
filesystem_folder = $D/data
[web]
type = none
C
setsid radicale --config "$D/config" </dev/null >"$D/log" 2>&1 &
echo $! > "$D/radicale.pid"
for _ in $(seq 100); do (exec 3<>/dev/tcp/"$LISTEN"/"$HTTP") 2>/dev/null && break; sleep 0.1; done
for u in "$@"; do
  curl -sS -o /dev/null -u "$u:pw$u" -X MKCALENDAR "http://$LISTEN:$HTTP/$u/calendar/"
  curl -sS -o /dev/null -w "$u %{http_code}\n" -u "$u:pw$u" -X PROPFIND -H 'Depth: 1' "http://$LISTEN:$HTTP/$u/"
done
