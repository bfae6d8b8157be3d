# What the system tests share. A case is a bash script that sources this, says what it proves with `ok`, and ends; anything it
# started is ended with it.
#
#     PRODUCTS   where distcomp, distcompd and distcomp-launch are
#     CASE       a directory of this case's own

failures=0
started=()
redis=redis://127.0.0.1:7000
# Where command lines find the queue.
queue=(--redis "$redis")

ok() { echo "ok - $1"; }
not_ok() {
  echo "not ok - $1"
  shift
  [[ $# -eq 0 ]] || printf '    %s\n' "$@"
  failures=$((failures + 1))
}

# expect SENTENCE COMMAND...: ok when the command succeeds.
expect() {
  local sentence=$1
  shift
  if "$@"; then ok "$sentence"; else not_ok "$sentence" "failed: $*"; fi
}

# expect_equal SENTENCE WANTED FOUND
expect_equal() {
  if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "wanted: $2" "found:  $3"; fi
}

# expect_match SENTENCE PATTERN FOUND
expect_match() {
  if [[ $3 =~ $2 ]]; then ok "$1"; else not_ok "$1" "wanted to match: $2" "found: $3"; fi
}

# wait_until SECONDS COMMAND...: true as soon as the command is, false after four times as long: the machine is emulated, and what emulates
# it may be busy. It is asked less often as time passes, for asking takes processors from what is waited for.
wait_until() {
  local limit=$((SECONDS + $1 * 4)) pause=1
  shift
  until "$@"; do
    [[ $SECONDS -lt $limit ]] || return 1
    sleep "$((pause / 10)).$((pause % 10))"
    pause=$((pause < 8 ? pause * 2 : 10))
  done
}

# await SECONDS COMMAND...: the same for what comes before a check, which would have waited in vain and said nothing.
await() { wait_until "$@" || not_ok "within $(($1 * 4)) s: ${*:2}"; }

start_redis() {
  redis-server --port 7000 --bind 127.0.0.1 --save "" --appendonly no --dir "$CASE" > "$CASE/redis.log" 2>&1 &
  started+=($!)
  wait_until 30 redis-cli -p 7000 ping > /dev/null 2>&1
}

# settings 'JSON MEMBERS': these behind a comma, with two slots where they do not say how many: a virtual machine has one processor.
settings() {
  [[ ${1:-} == *max_task_per_worker* ]] || printf ', "max_task_per_worker": 2'
  [[ -z ${1:-} ]] || printf ', %s' "$1"
}

# configure 'JSON MEMBERS': writes the daemon's settings.
configure() {
  cat > "$CASE/conf.json" <<CONF
{ "redis_port": 7000, "result_dir": "$CASE/result", "state_dir": "$CASE/state", "node_name": "node", "task_user": "root",
  "max_retry_per_task": 1, "kill_grace_seconds": 1, "health_report_interval": 1$(settings "${1:-}") }
CONF
}

# start_daemon [COMMAND PREFIX...]: starts distcompd, under systemd in a delegated group, and waits until it is a worker.
start_daemon() {
  local delegated=()
  [[ ! -d /run/systemd/system ]] || delegated=(systemd-run --quiet --scope --property=Delegate=yes)
  "${delegated[@]}" "$@" "$PRODUCTS/distcompd" --config "$CASE/conf.json" > "$CASE/daemon.log" 2>&1 &
  daemon=$!
  started+=("$daemon")
  wait_until 60 daemon_is_known || not_ok "the daemon starts" "$(cat "$CASE/daemon.log")"
}

daemon_is_known() { grep -q 'info *connected' "$CASE/daemon.log"; }

# running PATTERN: whether a process with such a command line runs.
running() { pgrep -f "$1" > /dev/null; }

submit() { printf '%s\n' "$@" | "$PRODUCTS/distcomp" submit "${queue[@]}" - > "$CASE/submit.log" 2>&1; }

count() { "$PRODUCTS/distcomp" status --json "${queue[@]}" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }

# Nothing waits and nothing runs, both told by one look: between two, a retry passes from the one to the other.
all_ended() { "$PRODUCTS/distcomp" status --json "${queue[@]}" | grep -q '"todo":0,"in_progress":0,'; }

# field NAME PATTERN: that field of the result whose task matches the pattern.
field() {
  "$PRODUCTS/distcomp" results --format jsonl "${queue[@]}" | python3 -c '
import json, sys
for line in sys.stdin:
    result = json.loads(line)
    if sys.argv[2] in result["task"]:
        print(result[sys.argv[1]])' "$1" "$2"
}

# groups: the control groups of tasks that there are, but for the one in which a launch waits for a task.
groups() {
  local group process
  find /sys/fs/cgroup -path '*distcomp.*/tasks/*' -type d 2>/dev/null | while read -r group; do
    process=$(head -1 "$group/cgroup.procs" 2>/dev/null)
    [[ $(cat "/proc/$process/comm" 2>/dev/null) == distcomp-wait ]] || echo "$group"
  done
}

# group_of PATTERN: waits for a task's group to hold a process whose command line matches, and prints its path.
group_of() {
  local process
  wait_until 30 pgrep -f "$1" > /dev/null || return 1
  process=$(pgrep -f "$1" | head -1)
  echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$process/cgroup")"
}

end_case() {
  local process
  [[ -z ${daemon:-} ]] || { kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; }
  for process in "${started[@]}"; do kill "$process" 2>/dev/null; done
  wait 2>/dev/null
  if [[ -n $(groups) ]]; then
    not_ok "nothing is left of the tasks' control groups" "$(groups)"
  fi
  [[ $failures -eq 0 ]] || sed 's/^/    log: /' "$CASE/daemon.log" 2>/dev/null
  exit 0
}
trap end_case EXIT
