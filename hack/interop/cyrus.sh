#!/usr/bin/env bash
# A real Cyrus IMAP as Debian ships it (install.sh beside this file) as CalDAV and iSchedule server.
#   cyrus.sh up DIR DOMAIN HTTP_PORT IMAP_PORT USER...   users log in as USER@DOMAIN with password pwUSER
#   cyrus.sh down DIR
# A USER called gateway may read and write everybody's calendars; with GATEWAY_SENDS=yes in the environment it may send for them, too:
# then Cyrus tells others what it writes.
# It listens at the address LISTEN in the environment, loopback by default; for IMAP on loopback alone.
# CalDAV homes: http://127.0.0.1:HTTP_PORT/dav/calendars/user/USER@DOMAIN/ (Default, Inbox, Outbox)
# iSchedule: POST http://127.0.0.1:HTTP_PORT/ischedule. Debian's build has no DKIM: it accepts unsigned and
# unverified messages, so it is a back end, not a peer to verify signatures with.
# Put resolv.conf into DIR before `up` when its sendmail shall ask another DNS server.
# It runs in a mount namespace of its own (own /dev/log); nothing outside DIR is written.
# DIR and its parents must be readable by the user cyrus.
set -euo pipefail
LISTEN=${LISTEN:-127.0.0.1}
case "${1:-}" in
up) D=$(realpath -m "$2"); DOMAIN=$3; HTTP=$4; IMAP=$5; shift 5 ;;
down) D=$(realpath "$2"); for p in "$D"/run/*.pid; do [ -f "$p" ] && kill "$(cat "$p")" 2>/dev/null || true; done; exit 0 ;;
*) sed -n 2,14p "$0"; exit 2 ;;
esac
mkdir -p "$D"/{conf/db,part,sock,proc,tmp,sieve,log,docroot,run/dev}
cat > "$D/imapd.conf" <<C
configdirectory: $D/conf
defaultpartition: default
partition-default: $D/part
servername: cal.$DOMAIN
# must differ from the users' domain, else delivery answers 5.1
defaultdomain: internal
virtdomains: userid
unixhierarchysep: yes
altnamespace: no
admins: cyrusadm
httpmodules: caldav freebusy ischedule
caldav_allowscheduling: on
caldav_realm: $DOMAIN
calendar_user_address_set: $DOMAIN
httpallowcompress: no
httpdocroot: $D/docroot
ischedule_dkim_required: no
caldav_create_default: yes
caldav_create_sched: yes
autocreate_users: anyone
autocreate_quota: -1
autocreate_post: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $D/sasldb2
sasl_mech_list: PLAIN LOGIN
allowplaintext: yes
lmtpsocket: $D/sock/lmtp
idlesocket: $D/sock/idle
notifysocket: $D/sock/notify
proc_path: $D/proc
mboxname_lockpath: $D/tmp
temp_path: $D/tmp
sievedir: $D/sieve
sendmail: ${SENDMAIL:-/bin/true}
statuscache: no
C
cat > "$D/cyrus.conf" <<C
START {
  recover cmd="ctl_cyrusdb -C $D/imapd.conf -r"
}
SERVICES {
  http cmd="httpd -C $D/imapd.conf" listen="$LISTEN:$HTTP" prefork=0
  imap cmd="imapd -C $D/imapd.conf" listen="127.0.0.1:$IMAP" prefork=0
}
EVENTS {
  checkpoint cmd="ctl_cyrusdb -C $D/imapd.conf -c" period=30
}
C
rm -f "$D/sasldb2"
for u in "$@" cyrusadm; do for r in "$DOMAIN" "cal.$DOMAIN"; do printf 'pw%s' "$u" | saslpasswd2 -f "$D/sasldb2" -c -p -u "$r" "$u"; done; done
chown -R cyrus:mail "$D"; chmod 755 "$D"
setsid python3 -c '
import socket,sys,os,re
p,o=sys.argv[1:3]
try: os.unlink(p)
except FileNotFoundError: pass
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind(p); os.chmod(p,0o666)
f=open(o,"a",buffering=1)
while True: f.write(re.sub(r"^<\d+>","",s.recv(65536).decode("utf-8","replace")).rstrip("\n\0")+"\n")
' "$D/run/devlog" "$D/log/syslog" </dev/null >/dev/null 2>&1 &
echo $! > "$D/run/syslog.pid"
for _ in $(seq 50); do [ -S "$D/run/devlog" ] && break; sleep 0.1; done
setsid unshare -m --propagation private bash -c '
D=$1; mount -t tmpfs tmpfs "$D/run/dev"
for n in null zero random urandom full tty; do touch "$D/run/dev/$n"; mount --bind /dev/$n "$D/run/dev/$n"; done
mkdir "$D/run/dev/shm"; mount --bind /dev/shm "$D/run/dev/shm"; ln -s "$D/run/devlog" "$D/run/dev/log"; ln -s /proc/self/fd "$D/run/dev/fd"
mount --rbind "$D/run/dev" /dev
[ -f "$D/resolv.conf" ] && mount --bind "$D/resolv.conf" /etc/resolv.conf
echo $$ > "$D/run/master.pid"
exec /usr/lib/cyrus/bin/master -C "$D/imapd.conf" -M "$D/cyrus.conf" -p "$D/run/cyrus-master.lock"
' _ "$D" </dev/null >"$D/log/master.out" 2>&1 &
for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/"$IMAP") 2>/dev/null && (exec 3<>/dev/tcp/"$LISTEN"/"$HTTP") 2>/dev/null && break; sleep 0.1; done
# a user's INBOX must exist before CalDAV works; the first PROPFIND then makes Default, Inbox and Outbox
python3 - "$IMAP" "$DOMAIN" "$@" <<'P'
import imaplib,sys
port,domain,users=int(sys.argv[1]),sys.argv[2],sys.argv[3:]
m=imaplib.IMAP4('127.0.0.1',port); m.login('cyrusadm','pwcyrusadm')
for u in users: m.create('user/%s@%s'%(u,domain))
m.logout()
P
for u in "$@"; do curl -sS -o /dev/null -w "$u@$DOMAIN %{http_code}\n" -u "$u@$DOMAIN:pw$u" -X PROPFIND -H 'Depth: 1' "http://$LISTEN:$HTTP/dav/calendars/user/$u@$DOMAIN/"; done
# the owners let the gateway in, as clients do that share a calendar
python3 - "$IMAP" "$DOMAIN" "$@" <<'P'
import imaplib,os,sys
port,domain,users=int(sys.argv[1]),sys.argv[2],sys.argv[3:]
if 'gateway' not in users: sys.exit()
m=imaplib.IMAP4('127.0.0.1',port); m.login('cyrusadm','pwcyrusadm')
for u in users:
    grants = {'': 'lrwited9', '/Default': 'lrwited9'}
    if os.environ.get('GATEWAY_SENDS'): grants['/Outbox'] = 'lrwited789'
    for b, rights in grants.items():
        typ, said = m.setacl('user/%s/#calendars%s@%s'%(u,b,domain), 'gateway@'+domain, rights)
        if typ != 'OK': sys.exit('%s %s: %s'%(u,b,said))
m.logout()
P
