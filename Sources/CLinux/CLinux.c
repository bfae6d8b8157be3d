#define _GNU_SOURCE
#include "CLinux.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

int clinux_openat(int directory, const char *path, int flags, mode_t mode) { return openat(directory, path, flags, mode); }

int clinux_openat_without_links(int directory, const char *path, int flags, mode_t mode) {
    struct open_how how = {.flags = (uint64_t)(unsigned)flags, .mode = mode, .resolve = RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int clinux_open_unnamed(int directory, mode_t mode) {
    return openat(directory, ".", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, mode);
}

int clinux_link(int descriptor, int directory, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW);
}

int clinux_rename_in(int directory, const char *name, const char *new_name) {
    return (int)syscall(SYS_renameat2, directory, name, directory, new_name, RENAME_NOREPLACE);
}

int clinux_is_being_written(int descriptor) {
    if (fcntl(descriptor, F_SETLEASE, F_RDLCK) == 0) {
        fcntl(descriptor, F_SETLEASE, F_UNLCK);
        return 0;
    }
    return errno == EAGAIN ? 1 : -1;
}

bool clinux_is_empty_directory(int directory) {
    // Room for the two entries that every directory has, and for a third of the longest name.
    char entries[512] __attribute__((aligned(8)));
    if (lseek(directory, 0, SEEK_SET) != 0) return false;
    long size = syscall(SYS_getdents64, directory, entries, sizeof entries);
    if (size < 0) return false;
    for (long at = 0; at < size;) {
        // The kernel's struct linux_dirent64: inode, offset (8 bytes each), length of the record (2), type (1), name.
        unsigned short length;
        memcpy(&length, entries + at + 16, sizeof length);
        const char *name = entries + at + 19;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) return false;
        at += length;
    }
    return true;
}

bool clinux_hands_down_access(int directory) { return fgetxattr(directory, "system.posix_acl_default", NULL, 0) > 0; }

int clinux_forget_pages(int descriptor) {
    unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (sync_file_range(descriptor, 0, 0, how) != 0) return -1;
    errno = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    return errno == 0 ? 0 : -1;
}

int clinux_duplicate_from(int descriptor, int lowest) { return fcntl(descriptor, F_DUPFD_CLOEXEC, lowest); }

int clinux_set_close_on_exec(int descriptor, bool closes) { return fcntl(descriptor, F_SETFD, closes ? FD_CLOEXEC : 0); }

int clinux_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 0); }

int clinux_sealable_memory_file(const char *name) {
    // MFD_NOEXEC_SEAL (Linux 6.3): a machine may refuse files in memory that could be executed.
    int descriptor = (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING | 8U);
    if (descriptor >= 0 || errno != EINVAL) return descriptor;
    return (int)syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int clinux_seal(int memory_file) {
    return fcntl(memory_file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

int clinux_message_sockets(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

ssize_t clinux_send_with_descriptors(int socket, const void *bytes, size_t size, const int *descriptors, int count) {
    enum { count_max = 20 };
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(count_max * sizeof(int))];
    } control;
    if (count < 1 || count > count_max) {
        errno = EINVAL;
        return -1;
    }
    memset(&control, 0, sizeof control);
    struct iovec place = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = control.bytes,
        .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, (size_t)count * sizeof(int));
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent;
}

int clinux_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int clinux_pidfd_send_signal(int pidfd, int signal_number) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0);
}

int clinux_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

bool clinux_has_bounding_capability(int capability) { return prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; }

int clinux_drop_bounding_capability(int capability) { return prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); }

int clinux_forbid_tracing(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

int clinux_parent_death_signal(void) {
    int signal_number = 0;
    return prctl(PR_GET_PDEATHSIG, &signal_number, 0, 0, 0) == 0 ? signal_number : 0;
}

int clinux_set_parent_death_signal(int signal_number) { return prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0); }

const char *clinux_error_text(int code) {
    const char *text = strerrordesc_np(code);
    return text != NULL ? text : "Unknown error";
}

char **clinux_environment(void) { return environ; }

// glibc hands main's arguments to constructors too; Swift has but a copy of them.
static int argument_count;
static char **argument_values;

__attribute__((constructor)) static void note_arguments(int count, char **values) {
    argument_count = count;
    argument_values = values;
}

char *clinux_argument(int index) { return index < argument_count ? argument_values[index] : NULL; }

bool clinux_is_delegated(const char *directory) {
    // The first is for whoever may read it; the second has been set since systemd 251, for everybody.
    static const char *const names[] = {"trusted.delegate", "user.delegate"};
    char value;
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        if (getxattr(directory, names[index], &value, 1) == 1 && value == '1') return true;
    }
    return false;
}

int clinux_allowed_processors(pid_t process, int *numbers, int capacity) {
    // A set of 8192 processors; the kernel refuses a smaller set than it has, and no machine has more.
    enum { processors_max = 8192 };
    cpu_set_t *set = CPU_ALLOC(processors_max);
    if (set == NULL) return -1;
    size_t size = CPU_ALLOC_SIZE(processors_max);
    int count = -1;
    if (sched_getaffinity(process, size, set) == 0) {
        count = 0;
        for (int number = 0; number < processors_max; number++) {
            if (!CPU_ISSET_S(number, size, set)) continue;
            if (count < capacity) numbers[count] = number;
            count++;
        }
    }
    CPU_FREE(set);
    return count;
}

int clinux_window_size(int terminal, struct winsize *size) { return ioctl(terminal, TIOCGWINSZ, size); }

// Read by a signal handler, so kept apart from all that may be half changed when a crash comes.
static struct {
    int terminal;
    struct termios settings;
    char text[64];
    size_t length;
} crash;

static void restore_terminal(int signal_number) {
    // Both calls are safe in a signal handler. The handler has been reset: the default action follows.
    tcsetattr(crash.terminal, TCSANOW, &crash.settings);
    if (write(crash.terminal, crash.text, crash.length) < 0) _exit(128 + signal_number);
    raise(signal_number);
}

void clinux_restore_terminal_at_crash(int terminal, const struct termios *settings, const char *text) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE};
    crash.terminal = terminal;
    crash.settings = *settings;
    crash.length = strnlen(text, sizeof crash.text);
    memcpy(crash.text, text, crash.length);
    struct sigaction action = {.sa_handler = restore_terminal, .sa_flags = SA_RESETHAND | SA_NODEFER};
    for (size_t index = 0; index < sizeof signals / sizeof *signals; index++) sigaction(signals[index], &action, NULL);
}

int clinux_rlimit_nofile(void) { return RLIMIT_NOFILE; }

bool clinux_exited(int status) { return WIFEXITED(status); }
int clinux_exit_code(int status) { return WEXITSTATUS(status); }
bool clinux_signaled(int status) { return WIFSIGNALED(status); }
int clinux_signal_number(int status) { return WTERMSIG(status); }

typedef int (*setcgroup_function)(posix_spawnattr_t *, int);

static setcgroup_function find_setcgroup(void) {
    return (setcgroup_function)dlsym(RTLD_DEFAULT, "posix_spawnattr_setcgroup_np");
}

// POSIX_SPAWN_SETCGROUP as glibc 2.39 defines it; older headers lack it.
enum { spawn_setcgroup_flag = 0x100 };

int clinux_spawnattr_set_cgroup(posix_spawnattr_t *attributes, int cgroup_directory) {
    setcgroup_function set_cgroup = find_setcgroup();
    if (set_cgroup == NULL) return ENOSYS;
    short flags = 0;
    int failure = posix_spawnattr_getflags(attributes, &flags);
    if (failure == 0) failure = set_cgroup(attributes, cgroup_directory);
    if (failure == 0) failure = posix_spawnattr_setflags(attributes, (short)(flags | spawn_setcgroup_flag));
    return failure;
}

bool clinux_can_spawn_in_cgroup(void) { return find_setcgroup() != NULL; }

int clinux_spawn_in_directory(posix_spawn_file_actions_t *actions, int descriptor) {
    return posix_spawn_file_actions_addfchdir_np(actions, descriptor);
}
