#!/usr/bin/env bash
# A real DAViCal as Debian ships it (install.sh beside this file) as CalDAV and old-style iSchedule server.
#   davical.sh up DIR DOMAIN HTTP_PORT PG_PORT USER...   users log in as USER with password pwUSER; address mailto:USER@DOMAIN
#   davical.sh down DIR
# A USER called gateway may read and write everybody's calendars; so may the administrator, admin with password pwadmin.
# It listens at the address LISTEN in the environment, loopback by default; its database on loopback alone.
# CalDAV homes: http://127.0.0.1:HTTP_PORT/caldav.php/USER/ (calendar, .in, .out).
# iSchedule: POST http://127.0.0.1:HTTP_PORT/.well-known/ischedule (draft-01), signed with DIR/dkim.key (made unless it is there),
# selector cal.
# Put into DIR before `up`: resolv.conf, when it shall ask another DNS server (port 53 only); ca.pem, when it shall trust another CA.
# The database is a private cluster below DIR; PHP runs in a mount namespace of its own.
# DIR and its parents must be readable by the user postgres.
set -euo pipefail
LISTEN=${LISTEN:-127.0.0.1}
B=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
case "${1:-}" in
up) D=$(realpath -m "$2"); DOMAIN=$3; HTTP=$4; PG=$5; shift 5 ;;
down) D=$(realpath "$2")
  [ -f "$D/php.pid" ] && kill -- -"$(cat "$D/php.pid")" 2>/dev/null || true # its own process group
  [ -f "$D/pg/postmaster.pid" ] && runuser -u postgres -- "$B/pg_ctl" -D "$D/pg" -m immediate stop >/dev/null || true
  exit 0 ;;
*) sed -n 2,12p "$0"; exit 2 ;;
esac
mkdir -p "$D"/{sock,log,etc}; chmod 755 "$D"; chown postgres "$D" "$D/sock" "$D/log"
[ -d "$D/pg" ] || (cd / && runuser -u postgres -- "$B/initdb" -D "$D/pg" -A trust -E UTF8 --locale=C.UTF-8 --no-sync) >"$D/log/initdb"
(cd / && runuser -u postgres -- "$B/pg_ctl" -D "$D/pg" -l "$D/log/pg" -o "-p $PG -k $D/sock -c listen_addresses=127.0.0.1 -c fsync=off" -w start) >/dev/null
runuser -u postgres -- env PGHOST="$D/sock" PGPORT="$PG" bash -c 'cd /usr/share/davical/dba && ./create-database.sh davical pwadmin' >"$D/log/create" 2>&1
[ -f "$D/dkim.key" ] || openssl genrsa -out "$D/dkim.key" 2048 2>/dev/null
cat > "$D/etc/config.php" <<P
<?php
\$c->pg_connect[] = "dbname=davical user=davical_app host=$D/sock port=$PG";
\$c->domain_name = "$DOMAIN";
\$c->admin_email = "admin@$DOMAIN";
\$c->enable_scheduling = true;
\$c->enable_auto_schedule = true;
\$c->scheduling_dkim_domain = "$DOMAIN";
\$c->scheduling_dkim_selector = "cal";
\$c->schedule_private_key = "$D/dkim.key";
P
cat > "$D/users.php" <<'P'
<?php
[$_, $sock, $port, $domain] = $argv; $users = array_slice($argv, 4);
$db = pg_connect("host=$sock port=$port dbname=davical user=postgres");
foreach ($users as $i => $u) {
  $n = 2000 + $i;
  pg_query_params($db, "INSERT INTO usr (user_no,active,email_ok,updated,username,password,fullname,email) VALUES ($1,TRUE,current_date,current_date,$2,$3,$2,$4)", [$n, $u, "**pw$u", "$u@$domain"]);
  pg_query_params($db, "INSERT INTO principal (principal_id,type_id,user_no,displayname,default_privileges) VALUES ($1,1,$2,$3,privilege_to_bits(ARRAY['read-free-busy','schedule-query-freebusy','schedule-deliver']))", [3000 + $i, $n, $u]);
  foreach ([['calendar','t','urn:ietf:params:xml:ns:caldav:calendar'], ['.in','f','urn:ietf:params:xml:ns:caldav:schedule-inbox'], ['.out','f','urn:ietf:params:xml:ns:caldav:schedule-outbox']] as [$col, $cal, $type])
    pg_query_params($db, "INSERT INTO collection (user_no,parent_container,dav_name,dav_etag,dav_displayname,is_calendar,is_addressbook,created,modified,resourcetypes,collection_id) VALUES ($1,$2,$3,md5($3),$4,$5,'f',now(),now(),$6,nextval('dav_id_seq'))", [$n, "/$u/", "/$u/$col/", "$u $col", $cal, "<DAV::collection/><$type/>"]);
}
$gateway = array_search('gateway', $users);
foreach ($users as $i => $u)
  if ($gateway !== false && $i !== $gateway)
    pg_query_params($db, "INSERT INTO grants (by_principal,to_principal,privileges,is_group) VALUES ($1,$2,privilege_to_bits(ARRAY['read','write']),FALSE)", [3000 + $i, 3000 + $gateway]);
P
php "$D/users.php" "$D/sock" "$PG" "$DOMAIN" "$@"
# what DAViCal's example for web servers does: /.well-known/* and /caldav.php/* go to caldav.php
cat > "$D/router.php" <<'P'
<?php
$u = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (preg_match('{^/\.well-known/}', $u)) $info = $u;
elseif (preg_match('{^/caldav\.php(/.*)?$}', $u, $m)) $info = $m[1] ?? '';
else return false;
$_SERVER['SCRIPT_NAME'] = '/caldav.php'; $_SERVER['PHP_SELF'] = '/caldav.php' . $info; $_SERVER['PATH_INFO'] = $info;
$_SERVER['SCRIPT_FILENAME'] = '/usr/share/davical/htdocs/caldav.php'; chdir('/usr/share/davical/htdocs'); require 'caldav.php';
return true;
P
chmod -R a+rX "$D/etc" "$D/router.php" "$D/dkim.key"
[ -f "$D/resolv.conf" ] || cp /etc/resolv.conf "$D/resolv.conf"
PHP_CLI_SERVER_WORKERS=4 setsid unshare -m --propagation private bash -c '
D=$1; mount --bind "$D/etc" /etc/davical; mount --bind "$D/resolv.conf" /etc/resolv.conf; echo $$ > "$D/php.pid"
[ -f "$D/ca.pem" ] && ca=(-d openssl.cafile="$D/ca.pem" -d curl.cainfo="$D/ca.pem") || ca=()
exec php -d include_path=/usr/share/davical/inc:/usr/share/awl/inc:/usr/share/php -d error_reporting=E_ERROR -d display_errors=0 -d log_errors=1 \
  -d error_log="$D/log/php" "${ca[@]}" -S "$3:$2" -t /usr/share/davical/htdocs "$D/router.php"
' _ "$D" "$HTTP" "$LISTEN" </dev/null >"$D/log/php.out" 2>&1 &
for _ in $(seq 100); do (exec 3<>/dev/tcp/"$LISTEN"/"$HTTP") 2>/dev/null && break; sleep 0.1; done
for u in "$@"; do curl -sS -o /dev/null -w "$u@$DOMAIN %{http_code}\n" -u "$u:pw$u" -X PROPFIND -H 'Depth: 1' "http://$LISTEN:$HTTP/caldav.php/$u/"; done
