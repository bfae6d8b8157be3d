# What a task finds itself to be: nobody in particular, with nothing but what it needs.
source "$(dirname "$0")/../lib.sh"
useradd --system --user-group taskuser 2>/dev/null
start_redis
configure '"task_user": "taskuser", "task_umask": "027"'
start_daemon sh -c 'echo -900 > /proc/self/oom_score_adj; exec "$@"' sh

submit 'shell:9:64M:0.5:60:cat /proc/self/status' 'shell:8:0:0:60:ls -l /proc/self/fd; cat /proc/self/oom_score_adj' \
  'shell:7:64M:0.5:60:env | sort' 'shell:6:0:0:60:cat /proc/self/limits; ps -o sid= -p $$; echo pid $$; umask; id -un' \
  'shell:5:0:0:60:touch /etc/passwd'
await 100 all_ended

status=$(field stdout /proc/self/status)
identifier=$(id -u taskuser)
value() { sed -n "s/^$1:[[:space:]]*//p" <<< "$status" | tr '\t' ' '; }
expect_equal "the four user ids are the task user's" "$identifier $identifier $identifier $identifier" "$(value Uid)"
expect_equal "the four group ids are the task user's" "$(id -g taskuser) $(id -g taskuser) $(id -g taskuser) $(id -g taskuser)" "$(value Gid)"
expect_equal "the supplementary groups are the task user's and no others" "$(id -G taskuser)" "$(value Groups | sed 's/ *$//')"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
  expect_equal "$set is empty" 0000000000000000 "$(value "$set")"
done
expect_equal "no new privileges can be gained" 1 "$(value NoNewPrivs)"
expect_equal "no signal is blocked" 0000000000000000 "$(value SigBlk)"
expect_equal "no signal is ignored" 0000000000000000 "$(value SigIgn)"

files=$(field stdout /proc/self/fd)
expect_equal "only descriptors 0 to 2 are open, and ls's own" 4 "$(grep -c ' -> ' <<< "$files")"
expect_equal "the daemon's shield from the out-of-memory killer is not inherited" 0 "$(tail -1 <<< "$files")"

environment=$(field stdout 'env | sort')
expect_match "the task is told its memory" "DISTCOMP_MEMORY_BYTES=$((64 << 20))" "$environment"
expect_match "the task is told its cores" 'DISTCOMP_CORES=0.5' "$environment"
expect_match "the task is told its attempt" 'DISTCOMP_ATTEMPT=1' "$environment"
expect_match "the task is told where its output goes" "DISTCOMP_OUTPUT_DIR=$CASE/result/" "$environment"

rest=$(field stdout /proc/self/limits)
expect_match "core files are off" 'Max core file size +0 +0' "$rest"
expect_match "the umask is task_umask" '0027' "$rest"
expect_equal "the task leads a session of its own" yes \
  "$(awk '/^ *[0-9]+$/{sid=$1} /^pid/{print (sid == $2 ? "yes" : "no: " sid " " $2)}' <<< "$rest")"
expect_equal "a task cannot write root's files" failed "$(field state 'touch /etc/passwd')"
