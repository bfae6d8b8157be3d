// The step between the daemon and a task: posix_spawn can join no control group, change no user and drop no privilege, so it
// starts this program, which does, and then becomes the task.
//
//     distcomp-launch [options] -- PROGRAM [ARGUMENT...]
//     distcomp-launch -s [options]
//
// Descriptors on entry: 0-2 the task's own; 3 the status pipe; from 4 on the cgroup.procs files of the task's group (-c says
// how many). Every step is checked. One that fails is written to the status pipe as a `struct failure`, and the task does not
// run: never with a privilege too many. Nothing is written when all went well; exec closes the pipe.
//
// The task's own words (the directory of -C, the file of -i, variables of its environment) mean nothing before this is the task's
// user: root follows no path and heeds no variable that a task's line names.
//
// With -s it stays, outside of all groups, and begins as many tasks as it is told of on the socket at descriptor 4: each is a copy of
// it (clone(2)) that goes through the same steps. The copies are the daemon's own children (CLONE_PARENT), so that neither a task's end
// nor what it is told of it depends on this process. Each says first of all on the status pipe who it is, and for which order; where a
// copy may have died in a small group before it could say anything, this process does after it.
//
// Copying its memory, and parting with it a moment later, was a tenth of what a short task costs. So where it may, a copy uses the very
// memory of this process, which waits until it has executed the task (as with vfork(2)).
//
// A copy can be told to stand by: it joins its group, and waits there to be told what to run, on a socket of its own. Joining a group is
// what takes longest on a machine that has been quiet: 10 ms, a grace period of the kernel's RCU.
//
// Small and static on purpose: it is executed once a task, or copied, and its start-up was most of what it cost. So the Makefile links it with
// musl where that is installed: glibc asks the processor about itself at every start, which a virtual machine answers in 0.4 ms.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { status_descriptor = 3, first_group_descriptor = 4, groups_max = 256 };

// The largest user or group id; the one above it, -1, tells setresuid(2) and setresgid(2) to change nothing.
static const unsigned long long identifier_max = UINT32_MAX - 1;

// CLOSE_RANGE_CLOEXEC, which C libraries before 2.34 do not name; Linux 5.11.
enum { close_range_cloexec = 1U << 2 };

// The kernel's first real-time signal and the number of all: those from here to SIGRTMIN are the C library's own.
enum { first_reserved_signal = 32, signals_max = 64 };

// More processors than any Linux is built for; musl's cpu_set_t has room for 128.
enum { processors_max = 8192, bits_per_word = 8 * sizeof(unsigned long) };

// The order is that of LaunchStep in LinuxSystem/ProcessLauncher.swift. What came later is at the end: an upgrade puts a new program
// here while the old daemon still runs.
enum step {
    step_arguments = 1,
    step_join_cgroup,
    step_setsid,
    step_signals,
    step_oom_score_adj,
    step_nice,
    step_affinity,
    step_limits,
    step_groups,
    step_gid,
    step_bounding_set,
    step_uid,
    step_capabilities,
    step_no_new_privileges,
    step_directory,
    step_descriptors,
    step_execute,
    step_own_directory,
    step_standard_input,
    step_begin,
    step_checkpoint_directory,
};

// In place of a step: `process` has begun for the order that `code` is the number of, by its own word, or by that of who copied itself.
enum { step_begun = 0, step_copied = -1 };

// Written in one piece (far below PIPE_BUF), so that launches sharing the pipe do not mix. An order for which there is no process has
// its number below zero in place of one.
struct failure {
    int32_t process;
    int32_t step;
    int32_t code;
};

struct request {
    bool stays;
    int group_descriptors;
    bool change_user;
    bool change_group;
    uint64_t bounding_set;
    uid_t uid;
    gid_t gid;
    gid_t groups[groups_max];
    size_t group_count;
    mode_t umask;
    int nice;
    const char *directory;
    const char *input;
    bool has_processors;
    unsigned long processors[processors_max / bits_per_word];
    bool reset_oom_score;
    rlim_t file_size_max;
    rlim_t descriptors_max;
    int injected_step;
    int injected_code;
};

static struct request request = {.umask = 022, .file_size_max = RLIM_INFINITY};

static void tell(int32_t process, int32_t step, int32_t code) {
    struct failure failure = {process, step, code};
    ssize_t written = write(status_descriptor, &failure, sizeof failure);
    (void)written;  // Without a pipe the exit status is all that is left to say it with.
}

static _Noreturn void fail(enum step step, int code) {
    tell(getpid(), step, code);
    _exit(125);
}

// A test asks for one step to fail (-F), to see that nothing runs after it.
static void check(enum step step, bool succeeded) {
    if (request.injected_step == (int)step) fail(step, request.injected_code);
    if (!succeeded) fail(step, errno);
}

// Digits only: strtoull would take "-1" and white space as well. What is over `max` is refused rather than cut, for a user id
// cut to 32 bits could come out as 0.
static unsigned long long number_until(const char *text, int base, unsigned long long max, char **end) {
    errno = 0;
    unsigned long long value = strtoull(text, end, base);
    if (*text < '0' || *text > '9' || errno != 0 || value > max) fail(step_arguments, EINVAL);
    return value;
}

static unsigned long long number(const char *text, int base, unsigned long long max) {
    char *end;
    unsigned long long value = number_until(text, base, max, &end);
    if (*end != '\0') fail(step_arguments, EINVAL);
    return value;
}

static int nice_value(const char *text) {
    bool negative = *text == '-';
    int value = (int)number(text + negative, 10, 20);
    return negative ? -value : value;
}

static void read_processors(const char *list) {
    while (*list != '\0') {
        char *end;
        unsigned long long processor = number_until(list, 10, processors_max - 1, &end);
        request.processors[processor / bits_per_word] |= 1UL << processor % bits_per_word;
        if (*end != ',' && *end != '\0') fail(step_arguments, EINVAL);
        list = *end == ',' ? end + 1 : end;
    }
    request.has_processors = true;
}

static void read_groups(const char *list) {
    while (*list != '\0') {
        char *end;
        unsigned long long group = number_until(list, 10, identifier_max, &end);
        if ((*end != ',' && *end != '\0') || request.group_count == groups_max) fail(step_arguments, EINVAL);
        request.groups[request.group_count++] = (gid_t)group;
        list = *end == ',' ? end + 1 : end;
    }
}

static void read_options(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "+sc:u:g:G:a:b:m:n:of:d:C:i:F:E:")) != -1) {
        switch (option) {
        case 's': request.stays = true; break;
        case 'c': request.group_descriptors = (int)number(optarg, 10, 16); break;
        case 'u': request.uid = (uid_t)number(optarg, 10, identifier_max); request.change_user = true; break;
        case 'g': request.gid = (gid_t)number(optarg, 10, identifier_max); request.change_group = true; break;
        case 'G': read_groups(optarg); break;
        case 'a': read_processors(optarg); break;
        case 'b': request.bounding_set = number(optarg, 16, UINT64_MAX); break;
        case 'm': request.umask = (mode_t)number(optarg, 8, 0777); break;
        case 'n': request.nice = nice_value(optarg); break;
        case 'o': request.reset_oom_score = true; break;
        case 'f': request.file_size_max = (rlim_t)number(optarg, 10, UINT64_MAX); break;
        case 'd': request.descriptors_max = (rlim_t)number(optarg, 10, UINT64_MAX); break;
        case 'C': request.directory = optarg; break;
        case 'i': request.input = optarg; break;
        case 'F': request.injected_step = (int)number(optarg, 10, INT32_MAX); break;
        case 'E': request.injected_code = (int)number(optarg, 10, INT32_MAX); break;
        default: fail(step_arguments, EINVAL);
        }
    }
    // A user without a group would keep root's.
    if ((optind < argc) == request.stays || request.change_user != request.change_group) fail(step_arguments, EINVAL);
}

// First of all, while still allowed to: whatever comes after is counted and can be killed with the group.
static void join_control_groups(void) {
    for (int index = 0; index < request.group_descriptors; index++) {
        check(step_join_cgroup, write(first_group_descriptor + index, "0", 1) == 1);
        close(first_group_descriptor + index);  // Opened by root: it must not even be there once we are the task's user.
    }
}

// What a task is, as LaunchOrder in LinuxSystem sends it in one message: the number of its arguments, the arguments and then its
// environment, each ended by a NUL byte; with it come its standard output and standard error. Where the number says so, the
// directory it begins in and the file it reads come before the arguments (empty for none), and its standard input as a third descriptor.
enum { order_bytes_max = 65536, streams_max = 3 };

static const uint32_t order_has_place = 1U << 31, order_has_input = 1U << 30;

static char order[order_bytes_max];

// Before the order of one who stays: its number, how many groups there are to join, and what else comes. Behind the streams come the
// descriptors of the groups' files, that of the v2 tree first, and then that of the directory of the group in the v2 tree.
struct stay_head {
    uint32_t number;
    uint32_t group_count;
    uint32_t flags;
};

// The last descriptor is a directory to be born in; processors to run on are the first string; the group has room for what happens until
// the task is executed (of two processes with the same memory the kernel kills both for want of it); there is no order yet, and what it
// will come by is in the place of the streams.
static const uint32_t stay_has_directory = 1, stay_has_processors = 2, stay_may_share = 4, stay_stands_by = 8;

enum { descriptors_max = streams_max + 16 + 1 };

// The descriptors that came with a message; how many.
static int taken_descriptors(struct msghdr *message, int *descriptors) {
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (control == NULL || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) return 0;
    size_t size = control->cmsg_len - CMSG_LEN(0);
    if (size > descriptors_max * sizeof *descriptors) return 0;
    memcpy(descriptors, CMSG_DATA(control), size);
    return (int)(size / sizeof *descriptors);
}

// Its streams become ours.
static void take_streams(const int *streams, int count) {
    static const int places[streams_max] = {STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO};
    for (int index = 0; index < count; index++) {
        check(step_descriptors, dup2(streams[index], places[index]) >= 0);
        close(streams[index]);
    }
}

// The string at `*next`, which moves on to the one after it; NULL for an empty one.
static const char *taken(char **next) {
    const char *string = *next;
    *next += strlen(string) + 1;
    return *string == '\0' ? NULL : string;
}

struct message {
    size_t size;
    int descriptors[descriptors_max];
    int descriptor_count;
};

// Waits for a message, into `order`. When the daemon ends, or wants no task begun here, nobody holds the other end of the socket any
// more, and there is nothing to do.
static struct message received(int socket) {
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(descriptors_max * sizeof(int))];
    } control;
    struct iovec place = {.iov_base = order, .iov_len = sizeof order};
    struct msghdr header = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t size;
    do size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size == 0) _exit(0);
    check(step_arguments, size > 0);
    struct message message = {.size = (size_t)size};
    message.descriptor_count = taken_descriptors(&header, message.descriptors);
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) message.size = 0;
    return message;
}

// Reads an order from `at` on: returns the arguments, and sets the environment, the place and the streams, the first `stream_count`
// descriptors.
static char **taken_order(const struct message *message, size_t at, int stream_count, bool has_processors) {
    uint32_t argument_count;
    if (message->size <= at + sizeof argument_count || order[message->size - 1] != '\0') fail(step_arguments, EBADMSG);
    memcpy(&argument_count, order + at, sizeof argument_count);
    bool has_place = (argument_count & order_has_place) != 0;
    if (stream_count != ((argument_count & order_has_input) != 0 ? 3 : 2)) fail(step_arguments, EBADMSG);
    take_streams(message->descriptors, stream_count);

    argument_count &= ~(order_has_place | order_has_input);
    at += sizeof argument_count;
    size_t string_count = 0;
    for (size_t index = at; index < message->size; index++) string_count += order[index] == '\0';
    size_t own_count = (has_processors ? 1 : 0) + (has_place ? 2 : 0);
    if (string_count < own_count) fail(step_arguments, EBADMSG);
    string_count -= own_count;
    char *next = order + at;
    if (has_processors) {
        const char *processors = taken(&next);
        if (processors != NULL) read_processors(processors);
    }
    if (has_place) {
        request.directory = taken(&next);
        request.input = taken(&next);
    }
    if (argument_count == 0 || argument_count > string_count) fail(step_arguments, EBADMSG);
    // The arguments, NULL, the environment, NULL. Each ends with a NUL byte of the order, so they cannot be more.
    static char *strings[order_bytes_max + 2];
    strings[argument_count] = strings[string_count + 1] = NULL;
    for (size_t index = 0; index < string_count; index++) {
        strings[index + (index >= argument_count)] = next;
        next += strlen(next) + 1;
    }
    environ = strings + argument_count + 1;
    return strings;
}

// posix_spawn has set every disposition to its default, but for the signals that glibc keeps for itself: those it leaves ignored,
// which would survive exec and change how the task behaves, and its sigaction refuses to touch them. So the call is made directly.
// All zero is the default action with no flags, in the layout of every architecture.
static void reset_signals(void) {
    const char standard[256] = {0};
    for (int number = first_reserved_signal; number < SIGRTMIN; number++) {
        check(step_signals, syscall(SYS_rt_sigaction, number, standard, NULL, signals_max / 8) == 0);
    }
    sigset_t none;
    sigemptyset(&none);
    check(step_signals, sigprocmask(SIG_SETMASK, &none, NULL) == 0);
}

// The daemon is shielded from the out-of-memory killer; a task that inherited that would make its own cap void.
static void reset_oom_score(void) {
    if (!request.reset_oom_score) return;
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // Else the file is root's.
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    check(step_oom_score_adj, file >= 0 && write(file, "0", 1) == 1);
    close(file);
}

static void set_limit(int resource, rlim_t soft) {
    struct rlimit limit;
    check(step_limits, getrlimit(resource, &limit) == 0);
    limit.rlim_cur = limit.rlim_max != RLIM_INFINITY && soft > limit.rlim_max ? limit.rlim_max : soft;
    // The soft limit of a size or of core files is a promise to the operator: the task must not raise it again.
    if (resource != RLIMIT_NOFILE) limit.rlim_max = limit.rlim_cur;
    check(step_limits, setrlimit(resource, &limit) == 0);
}

static void set_limits(void) {
    umask(request.umask);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_FSIZE, request.file_size_max);
    if (request.descriptors_max != 0) set_limit(RLIMIT_NOFILE, request.descriptors_max);
}

static void set_priority(void) {
    if (request.nice != 0) check(step_nice, setpriority(PRIO_PROCESS, 0, request.nice) == 0);
    bool is_placed = !request.has_processors
        || syscall(SYS_sched_setaffinity, 0, sizeof request.processors, request.processors) == 0;
    check(step_affinity, is_placed);
}

static void drop_bounding_set(void) {
    // All there are, by the daemon's word; it never gains one. To ask here which there are would be forty calls a task.
    for (cap_value_t capability = 0; capability < 64; capability++) {
        if ((request.bounding_set >> capability & 1) == 0) continue;
        check(step_bounding_set, cap_drop_bound(capability) == 0);
    }
    check(step_bounding_set, true);
}

// The groups first: once the user is changed they no longer could be. setgroups is called for an empty list too, for whoever
// skips it keeps root's.
static void change_user(void) {
    if (request.change_user) {
        check(step_groups, setgroups(request.group_count, request.groups) == 0);
        check(step_gid, setresgid(request.gid, request.gid, request.gid) == 0);
        gid_t real, effective, saved;
        check(step_gid, getresgid(&real, &effective, &saved) == 0);
        if (real != request.gid || effective != request.gid || saved != request.gid) fail(step_gid, EPERM);
    }
    if (!request.stays) drop_bounding_set();  // Who stays has dropped it once for all.
    if (request.change_user) {
        check(step_uid, setresuid(request.uid, request.uid, request.uid) == 0);
        uid_t real, effective, saved;
        check(step_uid, getresuid(&real, &effective, &saved) == 0);
        if (real != request.uid || effective != request.uid || saved != request.uid) fail(step_uid, EPERM);
    }
}

// A user id of 0 keeps its capabilities through setresuid, so they are cleared for everyone.
static void drop_capabilities(void) {
    check(step_capabilities, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
    cap_t none = cap_init();
    check(step_capabilities, none != NULL && cap_set_proc(none) == 0);
    cap_free(none);
    check(step_no_new_privileges, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

// The task's own, else that which was inherited from the daemon: whether it is still there, and whether the task's user may be in
// it, shows only now.
static void enter_directory(void) {
    check(step_own_directory, request.directory == NULL || chdir(request.directory) == 0);
    if (request.directory != NULL) return;
    char path[4096];
    bool exists = syscall(SYS_getcwd, path, sizeof path) > 0 || errno == ENAMETOOLONG || errno == ERANGE;
    check(step_directory, exists && access(".", X_OK) == 0);
}

// Where the task saves what it has done, and its next attempt finds it: by the daemon's word, for no variable of the task's own can have
// this name. It may be on a file server, and there from an earlier attempt.
static void make_checkpoint_directory(void) {
    const char *path = getenv("DISTCOMP_CHECKPOINT_DIR");
    check(step_checkpoint_directory, true);
    if (path == NULL) return;
    int code = mkdir(path, 0777) == 0 ? 0 : errno;
    if (code == ENOENT) {
        // That in which all tasks of a job have theirs need not be there.
        char parent[4096];
        size_t length = (size_t)(strrchr(path, '/') - path);
        if (length >= sizeof parent) fail(step_checkpoint_directory, ENAMETOOLONG);
        memcpy(parent, path, length);
        parent[length] = '\0';
        if (mkdir(parent, 0777) != 0 && errno != EEXIST) fail(step_checkpoint_directory, errno);
        code = mkdir(path, 0777) == 0 ? 0 : errno;
    }
    struct stat status;
    if (stat(path, &status) != 0) fail(step_checkpoint_directory, code != 0 ? code : errno);
    if (!S_ISDIR(status.st_mode)) fail(step_checkpoint_directory, ENOTDIR);
}

// A pipe that nobody writes to holds up this process, which its daemon can kill, and no other. A directory would only be found when
// the task reads it.
static void take_input(void) {
    int file = request.input == NULL ? STDIN_FILENO : open(request.input, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    check(step_standard_input, file >= 0);
    if (request.input == NULL) return;
    struct stat status;
    check(step_standard_input, fstat(file, &status) == 0);
    if (S_ISDIR(status.st_mode)) fail(step_standard_input, EISDIR);
    check(step_standard_input, dup2(file, STDIN_FILENO) >= 0);
    close(file);
}

// Variables of the task's own come with a mark before their name.
static void unmark_environment(void) {
    for (char **variable = environ; *variable != NULL; variable++) *variable += **variable == '=';
}

// close_range(2) for kernels before 5.11, and for containers whose filter refuses a call it does not know.
static bool close_listed_on_exec(void) {
    DIR *list = opendir("/proc/self/fd");
    if (list == NULL) return false;
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        int descriptor = atoi(entry->d_name);
        if (descriptor >= status_descriptor && fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) return false;
    }
    closedir(list);
    return true;
}

// All of the daemon's descriptors are close-on-exec already; this holds even if one day one is not.
static void close_descriptors(void) {
    bool closed = syscall(SYS_close_range, status_descriptor, ~0U, close_range_cloexec) == 0;
    check(step_descriptors, closed || close_listed_on_exec());
}

// What sh does with a file it cannot execute: one without NUL bytes at its start is a script that lacks its #! line.
static bool is_script(const char *path) {
    char start[128];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t count = read(file, start, sizeof start);
    close(file);
    return count > 0 && memchr(start, '\0', (size_t)count) == NULL;
}

static _Noreturn void run_as_script(const char *path, char **arguments) {
    size_t count = 0;
    while (arguments[count] != NULL) count++;
    static char **with_shell;
    free(with_shell);  // Of an earlier task whose copy had our memory.
    with_shell = calloc(count + 2, sizeof *with_shell);
    if (with_shell == NULL) fail(step_execute, ENOMEM);
    with_shell[0] = "sh";
    with_shell[1] = (char *)path;
    for (size_t index = 1; index < count; index++) with_shell[index + 1] = arguments[index];
    execv("/bin/sh", with_shell);
    fail(step_execute, errno);
}

// Returns only when `path` cannot be executed, with the reason.
static int try_execute(const char *path, char **arguments) {
    execv(path, arguments);
    if (errno == ENOEXEC && is_script(path)) run_as_script(path, arguments);
    return errno;
}

// Looks a name without a slash up in the task's own PATH, as a shell would: it goes on after a file it may not execute, but a
// file that cannot be run for another reason is the one that was meant.
static _Noreturn void execute(char **arguments) {
    const char *name = arguments[0];
    check(step_execute, true);
    if (strchr(name, '/') != NULL || *name == '\0') fail(step_execute, *name == '\0' ? ENOENT : try_execute(name, arguments));

    const char *directories = getenv("PATH");
    if (directories == NULL) directories = "/usr/local/bin:/usr/bin:/bin";
    int reason = ENOENT;
    char path[4096];
    while (true) {
        size_t length = strcspn(directories, ":");
        if (length + 1 + strlen(name) < sizeof path) {
            memcpy(path, directories, length);
            path[length] = '/';
            strcpy(path + length + (length > 0), name);
            int code = try_execute(path, arguments);
            if (code != ENOENT && code != ENOTDIR && code != EACCES) fail(step_execute, code);
            // A file that may not be executed, rather than a directory that may not be looked into.
            if (code == EACCES && access(path, F_OK) == 0) reason = EACCES;
        }
        if (directories[length] == '\0') break;
        directories += length + 1;
    }
    fail(step_execute, reason);
}

// From here on nothing of root's is needed, but for the change of the user.
static _Noreturn void become_task(char **arguments) {
    set_priority();
    change_user();
    drop_capabilities();
    enter_directory();
    make_checkpoint_directory();
    take_input();
    close_descriptors();
    unmark_environment();
    execute(arguments);
}

// As in clone3(2), up to what Linux 5.7 has; C libraries do not all know it.
struct clone_wanted {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static const uint64_t clone_into_cgroup = 1ULL << 33;

// Before Linux 5.7, in a container whose filter refuses what it does not know, or where the group takes no process so.
static bool is_of_clone3(int code) {
    return code == ENOSYS || code == EINVAL || code == EPERM || code == EACCES || code == EOPNOTSUPP || code == E2BIG;
}

// A copy of this process as a child of the daemon: in the v2 group whose directory is open, where there is one and the kernel can.
// Returns 0 in the copy, and says in `*born` whether it is in the group.
static pid_t copy(int directory, bool *born) {
    struct clone_wanted wanted = {.flags = CLONE_PARENT};
    *born = directory >= 0;
    if (directory >= 0) {
        wanted.flags |= clone_into_cgroup;
        wanted.cgroup = (uint64_t)directory;
        pid_t process = (pid_t)syscall(SYS_clone3, &wanted, sizeof wanted);
        if (process >= 0 || !is_of_clone3(errno)) return process;
        *born = false;
    }
    return (pid_t)syscall(SYS_clone, CLONE_PARENT, NULL, NULL, NULL, NULL);
}

// What is begun now; a copy that has our memory finds it here.
static struct {
    struct message message;
    struct stay_head head;
    bool born;
    volatile bool is_told;
} current;

static _Noreturn void begin(void) {
    const struct message *message = &current.message;
    if ((current.head.flags & stay_stands_by) != 0) prctl(PR_SET_NAME, "distcomp-wait", 0, 0, 0);  // In a list of processes.
    tell(getpid(), step_begun, (int32_t)current.head.number);
    current.is_told = true;
    int stream_count = message->descriptor_count - (int)current.head.group_count - (current.head.flags & stay_has_directory ? 1 : 0);
    const int *groups = message->descriptors + stream_count;
    for (uint32_t index = current.born ? 1 : 0; index < current.head.group_count; index++) {
        check(step_join_cgroup, write(groups[index], "0", 1) == 1);
    }
    // Opened by root: none of them must even be there once we are the task's user.
    for (int index = stream_count; index < message->descriptor_count; index++) close(message->descriptors[index]);
    check(step_setsid, setsid() >= 0);
    if ((current.head.flags & stay_stands_by) == 0) {
        become_task(taken_order(message, sizeof current.head, stream_count, (current.head.flags & stay_has_processors) != 0));
    }
    close(first_group_descriptor);  // What others are told is not for us, and nobody is to take us for who is told.
    int socket = message->descriptors[0];
    const struct message order_message = received(socket);
    close(socket);
    become_task(taken_order(&order_message, 0, order_message.descriptor_count, false));
}

static char copys_stack[65536] __attribute__((aligned(16)));

// As `copy`, but that the copy uses our memory, with a stack of its own, and that we wait until it has executed the task or has ended.
// Below zero, with errno, when there is none; a system that cannot do this has clone3's errors.
static pid_t copy_sharing(int directory) {
    struct clone_wanted wanted = {
        .flags = CLONE_PARENT | CLONE_VM | CLONE_VFORK | (directory >= 0 ? clone_into_cgroup : 0),
        .stack = (uint64_t)(uintptr_t)copys_stack, .stack_size = sizeof copys_stack,
        .cgroup = directory >= 0 ? (uint64_t)directory : 0};
    current.born = directory >= 0;
    long result = -ENOSYS;
    // No function of C may return in the copy: what it would return to is on our stack.
#if defined(__x86_64__)
    register void (*entry)(void) __asm__("r8") = begin;
    __asm__ volatile(
        "syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tcall *%%r8\n\thlt\n1:"
        : "=a"(result)
        : "a"((long)SYS_clone3), "D"(&wanted), "S"(sizeof wanted), "r"(entry)
        : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long number __asm__("x8") = SYS_clone3;
    register long first __asm__("x0") = (long)&wanted;
    register long second __asm__("x1") = sizeof wanted;
    register void (*entry)(void) __asm__("x9") = begin;
    __asm__ volatile(
        "svc #0\n\tcbnz x0, 1f\n\tmov x29, xzr\n\tblr x9\n\tbrk #1\n1:"
        : "+r"(first)
        : "r"(number), "r"(second), "r"(entry)
        : "x30", "memory");
    result = first;
#endif
    if (result >= 0) return (pid_t)result;
    errno = (int)-result;
    return -1;
}

// Executing may take long, or for ever, where the program is on a file server; then so many tasks are begun without waiting for it.
enum { slow_nanoseconds = 20000000, copies_after_slow = 64 };

static int64_t now_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// Where processes that have changed their user may be traced by it (as for debugging), a task could write into our memory.
static bool is_kept_from_tracers(void) {
    char mode = '1';
    int file = open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t count = read(file, &mode, 1);
    close(file);
    return count == 1 && (mode == '0' || mode == '2');
}

static bool can_share;

// Begins the current order and says so; nothing of it is left in our memory.
static void begin_current(void) {
    static int copies_left;
    int directory = current.head.flags & stay_has_directory ? current.message.descriptors[current.message.descriptor_count - 1] : -1;
    current.is_told = false;
    pid_t process = -1;
    bool shares = can_share && copies_left == 0 && (current.head.flags & (stay_may_share | stay_stands_by)) == stay_may_share;
    if (shares) {
        const struct request kept = request;
        int64_t since = now_nanoseconds();
        process = copy_sharing(directory);
        if (now_nanoseconds() - since > slow_nanoseconds) copies_left = copies_after_slow;
        request = kept;
        if (process < 0 && is_of_clone3(errno)) can_share = shares = false;
    } else if (copies_left > 0) {
        copies_left--;
    }
    if (!shares) {
        process = copy(directory, &current.born);
        if (process == 0) begin();
    }
    if (process < 0) tell(-(int32_t)current.head.number, step_begin, errno);
    if (process > 0 && !current.is_told) tell(process, step_copied, (int32_t)current.head.number);
}

static _Noreturn void stay(int socket) {
    check(step_setsid, setsid() >= 0);  // A Ctrl-C at the daemon's terminal is not for us.
    reset_signals();
    reset_oom_score();
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    set_limits();
    drop_bounding_set();
    check(step_no_new_privileges, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    can_share = is_kept_from_tracers();
    while (true) {
        current.message = received(socket);
        struct stay_head head = {0};
        if (current.message.size >= sizeof head) memcpy(&head, order, sizeof head);
        current.head = head;
        int streams = head.flags & stay_stands_by ? 1 : 2;
        int least = streams + (int)head.group_count + (head.flags & stay_has_directory ? 1 : 0);
        if (current.message.size < sizeof head || head.group_count > 16 || current.message.descriptor_count < least) {
            tell(-(int32_t)head.number, step_arguments, EBADMSG);
        } else {
            begin_current();
        }
        for (int index = 0; index < current.message.descriptor_count; index++) close(current.message.descriptors[index]);
    }
}

int main(int argc, char **argv) {
    if (fcntl(status_descriptor, F_SETFD, FD_CLOEXEC) != 0) _exit(125);
    read_options(argc, argv);
    // Until it is the task: other tasks of the same user must not trace it. Nothing is lost where that is refused; exec ends it.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (request.stays) stay(first_group_descriptor);
    join_control_groups();
    check(step_setsid, setsid() >= 0);
    reset_signals();
    reset_oom_score();
    set_limits();
    become_task(argv + optind);
}
