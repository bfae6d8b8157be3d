// The Linux interfaces that Swift's Glibc module leaves out, and thin wrappers round the calls Swift cannot make:
// variadic functions, function-like macros, and symbols that only newer C libraries have.
#ifndef CLINUX_H
#define CLINUX_H

// No _GNU_SOURCE here: Swift's Glibc module is built without it, and the two must agree on every struct they share.

#include <grp.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>

/// openat(2) with its mode; -1 and errno on failure.
int clinux_openat(int directory, const char *path, int flags, mode_t mode);

/// openat2(2) with RESOLVE_NO_SYMLINKS: ELOOP where a link is on the way, ENOSYS or EPERM where the kernel or a filter has no such
/// call; -1 and errno on failure.
int clinux_openat_without_links(int directory, const char *path, int flags, mode_t mode);

/// open(2) with O_TMPFILE: a file without a name on the file system of `directory`, for reading and writing, close-on-exec; EOPNOTSUPP,
/// EISDIR or EINVAL where there are none; -1 and errno on failure.
int clinux_open_unnamed(int directory, mode_t mode);

/// linkat(2) of what `descriptor` is open on, which may have no name yet; -1 and errno on failure.
int clinux_link(int descriptor, int directory, const char *name);

/// renameat2(2) with RENAME_NOREPLACE, in one directory: EEXIST where the new name is taken; -1 and errno on failure.
int clinux_rename_in(int directory, const char *name, const char *new_name);

/// Whether anybody has open for writing what `descriptor` is open on for reading (by a lease, see fcntl(2), given back at once); -1 and
/// errno where that cannot be told.
int clinux_is_being_written(int descriptor);

/// Whether there is nothing in a directory, by its descriptor.
bool clinux_is_empty_directory(int directory);

/// Whether what is made in a directory gets an access control list from it.
bool clinux_hands_down_access(int directory);

/// Writes back what of a file is only in memory, waits for that, and has the kernel forget all of it. May take long.
int clinux_forget_pages(int descriptor);

/// The CRC-32C of some bytes.
uint32_t clinux_checksum(const void *bytes, size_t size);

/// fcntl(2) F_DUPFD_CLOEXEC: a copy of `descriptor` at `lowest` or above.
int clinux_duplicate_from(int descriptor, int lowest);

/// fcntl(2) F_SETFD: whether `descriptor` is closed when this process executes another program; -1 and errno on failure.
int clinux_set_close_on_exec(int descriptor, bool closes);

/// memfd_create(2): a file in memory that an executed program finds under the same descriptor; -1 and errno on failure.
int clinux_memory_file(const char *name);

/// The same, close-on-exec, of which what is in it can be made final by `clinux_seal`.
int clinux_sealable_memory_file(const char *name);

/// fcntl(2) F_ADD_SEALS: nobody can change what is in this file in memory any more; -1 and errno on failure.
int clinux_seal(int memory_file);

/// pipe2(2), close-on-exec and non-blocking; -1 and errno on failure.
int clinux_pipe(int ends[2]);

/// socketpair(2): two connected Unix sockets that keep messages apart, close-on-exec; -1 and errno on failure.
int clinux_message_sockets(int ends[2]);

/// sendmsg(2) of one message and copies of `count` descriptors (at most 20), without waiting; -1 and errno on failure.
ssize_t clinux_send_with_descriptors(int socket, const void *bytes, size_t size, const int *descriptors, int count);

/// pidfd_open(2); -1 and errno on failure.
int clinux_pidfd_open(pid_t pid);

/// pidfd_send_signal(2); -1 and errno on failure.
int clinux_pidfd_send_signal(int pidfd, int signal_number);

/// prctl(2) PR_SET_CHILD_SUBREAPER: orphans of our tasks become our children.
int clinux_become_subreaper(void);

/// Whether the kernel knows this capability, see PR_CAPBSET_READ in prctl(2).
bool clinux_has_bounding_capability(int capability);

/// prctl(2) PR_CAPBSET_DROP.
int clinux_drop_bounding_capability(int capability);

/// prctl(2) PR_SET_DUMPABLE 0: others of the same user can neither trace this process nor read its memory and environment.
int clinux_forbid_tracing(void);

/// prctl(2) PR_GET_PDEATHSIG: what is sent to us when the thread that started us ends; 0 is nothing.
int clinux_parent_death_signal(void);

/// prctl(2) PR_SET_PDEATHSIG: `signal_number` is sent to us when the thread that started us ends.
int clinux_set_parent_death_signal(int signal_number);

/// What an errno means, in the C locale; safe from any thread.
const char *clinux_error_text(int code);

/// The environment of this process, see environ(7).
char **clinux_environment(void);

/// The argument of this process with that index, where ps(1) sees it; NULL behind the last.
char *clinux_argument(int index);

/// Whether systemd has marked this control group's directory as delegated, see getxattr(2).
bool clinux_is_delegated(const char *directory);

/// The processors that `process` may run on (0: this one), see sched_getaffinity(2): their numbers, as many as `capacity` lets, and
/// how many they are; -1 and errno on failure.
int clinux_allowed_processors(pid_t process, int *numbers, int capacity);

/// ioctl(2) TIOCGWINSZ; -1 and errno on failure.
int clinux_window_size(int terminal, struct winsize *size);

/// From now on a crash of this process gives the terminal `settings` and writes `text` to it (at most 64 bytes) before it ends.
void clinux_restore_terminal_at_crash(int terminal, const struct termios *settings, const char *text);

/// RLIMIT_NOFILE, whose C type differs between the places it is used in.
int clinux_rlimit_nofile(void);

bool clinux_exited(int status);
int clinux_exit_code(int status);
bool clinux_signaled(int status);
int clinux_signal_number(int status);

/// posix_spawn_file_actions_addfchdir_np(3): the child begins in the directory that `descriptor` is open on. An error number, or 0.
int clinux_spawn_in_directory(posix_spawn_file_actions_t *actions, int descriptor);

/// posix_spawnattr_setcgroup_np(3) where the C library has it (glibc 2.39 and later), looked up at run time; ENOSYS elsewhere.
int clinux_spawnattr_set_cgroup(posix_spawnattr_t *attributes, int cgroup_directory);

/// Whether posix_spawn can have a child born in a cgroup.
bool clinux_can_spawn_in_cgroup(void);

#endif
