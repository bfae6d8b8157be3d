// The few system calls a fixture needs. Tests may do bluntly what the daemon may not.

import Glibc
import LinuxSystem

/// Starts a program found in PATH. Its output goes nowhere.
///
/// - Parameter environment: what is added to our own, as `NAME=value`.
func spawn(_ arguments: [String], standardInput: Int32?, environment: [String] = []) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let standardInput {
        posix_spawn_file_actions_adddup2(&actions, standardInput, 0)
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)

    // The threads tests run on block signals, and a child inherits that: it would never see a SIGTERM.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var noSignals = sigset_t()
    sigemptyset(&noSignals)
    posix_spawnattr_setsigmask(&attributes, &noSignals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    let words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    let added: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) }
    defer { for variable in added { free(variable) } }
    var variables = added
    var own = environ
    while let variable = own.pointee {
        variables.append(variable)
        own += 1
    }
    variables.append(nil)
    var child: pid_t = 0
    let code = posix_spawnp(&child, arguments[0], &actions, &attributes, words, variables)
    guard code == 0 else { throw SystemError(call: "posix_spawn", subject: arguments[0], code: code) }
    return child
}

/// Between two looks at something that is to change.
func pauseBriefly() { usleep(20_000) }

/// Waits for the end of a child; what wait says of it, 0 for exit status 0.
@discardableResult
func reap(_ child: pid_t) -> Int32 {
    var status: Int32 = -1
    while waitpid(child, &status, 0) == -1 && errno == EINTR {}
    return status
}

/// A port nobody listens on at this moment. Below those that the kernel gives to connections by itself (from 32768): one of these
/// may be taken before the server that is to listen there has started.
func freePort() throws -> UInt16 {
    for _ in 0..<100 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError.last("socket", "127.0.0.1") }
        defer { close(descriptor) }
        let port = UInt16.random(in: 15_000..<32_000)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let isFree = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if isFree { return port }
    }
    throw SystemError(call: "bind", subject: "127.0.0.1", code: EADDRINUSE)
}

/// Removes a directory with all in it; links are removed, not followed.
func removeTree(_ path: String) {
    // What cannot be removed stays in /tmp; a test has no better use for the error.
    for name in (try? FileSystem.entries(of: path)) ?? [] {
        let entry = path + "/" + name
        if unlink(entry) != 0 { removeTree(entry) }
    }
    rmdir(path)
}
