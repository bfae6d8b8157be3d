# What the cases under systemd share, besides lib.sh: the package, installed for the case and purged at its end, on a machine with
# a Redis that asks for a password.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
redis=redis://:hidden-word@127.0.0.1:6379
# Not $redis: for a moment it can be seen in the process list, where tasks of these cases look.
queue=(--config "$CASE/queue.json")
(umask 077; echo '{ "redis_pass": "hidden-word" }' > "$CASE/queue.json")
packages=("$PRODUCTS"/package/distcomp_*.deb)
package=$(printf '%s\n' "${packages[@]}" | grep --invert-match _99)
later_package=$(printf '%s\n' "${packages[@]}" | grep _99)

# A container's image may forbid packages to start services; this machine is none.
rm -f /usr/sbin/policy-rc.d
cd "$CASE" || exit  # The command line would take a conf.json where it is for its own.

start_redis() {
  redis-server --port 6379 --bind 127.0.0.1 --requirepass hidden-word --save "" --appendonly no --dir "$CASE" > "$CASE/redis.log" 2>&1 &
  started+=($!)
  export REDISCLI_AUTH=hidden-word
  wait_until 60 redis-cli ping > /dev/null 2>&1
}

# Triggers of other packages (the index of the manual) take minutes here and are not what is tested.
install() {
  DEBIAN_FRONTEND=noninteractive dpkg --no-triggers --install "$@" > "$CASE/dpkg.log" 2>&1 || { cat "$CASE/dpkg.log"; return 1; }
}

# set_up 'JSON MEMBERS': the installed node's settings.
set_up() {
  printf '{ "redis_pass": "hidden-word", "kill_grace_seconds": 1, "health_report_interval": 1%s }\n' "$(settings "${1:-}")" \
    > /etc/distcomp/conf.json
}

# drop_in 'LINE...': what `systemctl edit` would add to the [Service] section, in place of what was added before.
drop_in() {
  mkdir -p /etc/systemd/system/distcompd.service.d
  { echo '[Service]'; printf '%s\n' "$@"; } > /etc/systemd/system/distcompd.service.d/test.conf
  systemctl daemon-reload
}

property() { systemctl show --property="$1" --value distcompd; }
main_process() { property MainPID; }
is_active() { [[ $(property ActiveState) == active ]]; }
says() { [[ $(property StatusText) == "$1"* ]]; }

# Nothing waits, and one task, which sleeps, runs.
only_the_sleeper() { "$PRODUCTS/distcomp" status --json "${queue[@]}" | grep -q '"todo":0,"in_progress":1,'; }

# journal FIELD=VALUE...: the entries of the node with that field since the case began, an object each.
begun=$(date +%s)
journal() { journalctl --unit distcompd --since "@$begun" --output json --no-pager "$@" 2> /dev/null; }
logged() { journalctl --unit distcompd --no-pager | grep -q "$1"; }

# everything: what there is of us where packages and services put things.
everything() {
  find /etc /run /var/lib /usr/bin /usr/sbin /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d \
    -path /var/lib/dpkg -prune -o -iname '*distcomp*' -print 2> /dev/null
  while read -r path; do [[ ! -f $path ]] || echo "$path"; done < "$CASE/installed"
}

end_systemd_case() {
  dpkg --purge distcomp > "$CASE/purge.log" 2>&1
  rm -rf /etc/systemd/system/distcompd.service.d /var/lib/distcomp
  systemctl daemon-reload
  systemctl reset-failed distcompd 2> /dev/null
  journalctl --unit distcompd --no-pager > "$CASE/daemon.log" 2>&1
  end_case
}
trap end_systemd_case EXIT
