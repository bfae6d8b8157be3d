// A directory for one test, and the proof that the test left nothing: no process, no control group, no file.

import Glibc
import LinuxSystem
import Testing

final class Scratch {
    let path: String
    private var names = 0
    private var groupNames: Set<String> = []

    init() throws {
        var template = Array("/tmp/distcomp-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp", "/tmp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o777)  // Tasks of root's daemon run as nobody.
    }

    func nextName() -> String {
        names += 1
        return "program\(names)"
    }

    /// Writes a file and returns its path.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String { try write(name, bytes: Array(text.utf8)) }

    @discardableResult
    func write(_ name: String, bytes: [UInt8]) throws -> String {
        try FileSystem.replace(path + "/" + name, with: bytes, mode: 0o644)
        return path + "/" + name
    }

    /// The lines of a file that tasks append to; none while it is not there.
    func lines(_ name: String) -> [String] { text(of: path + "/" + name).split(separator: "\n").map { String($0) } }

    // MARK: What is running

    /// Processes whose environment, arguments or working directory name this directory: all that came of this test,
    /// tasks included. (A redis-server writes its title over its environment; where it works, it cannot hide.)
    func processes() -> [(process: pid_t, command: String)] {
        let own = getpid()
        return ((try? FileSystem.entries(of: "/proc")) ?? []).compactMap { pid_t($0) }.compactMap { process in
            guard process != own, let command = words("/proc/\(process)/cmdline"), !command.isEmpty,
                let environment = words("/proc/\(process)/environ"),
                environment.contains(where: isOurs) || command.contains(where: { $0.contains(path) })
                    || isBelow("/proc/\(process)/cwd")
            else { return nil }
            return (process, command.joined(separator: " "))
        }
    }

    /// The main process of every task whose command holds `part`: each leads a session, what it forks does not.
    /// So does what one of our programs starts, and until it has executed another one its command is that of our program.
    func tasks(with part: String) -> [pid_t] {
        processes(with: part).filter { process in
            guard getsid(process) == process,
                let program = try? FileSystem.destination(ofLink: "/proc/\(process)/exe")
            else { return false }
            return program.split(separator: "/").last?.hasPrefix("distcomp") == false
        }
    }

    private func isOurs(_ variable: String) -> Bool {
        variable.hasPrefix("INTEGRATION_SCRATCH=\(path)") || variable.hasPrefix("DISTCOMP_OUTPUT_DIR=\(path)")
    }

    private func isBelow(_ link: String) -> Bool {
        (try? FileSystem.destination(ofLink: link))?.hasPrefix(path) == true
    }

    private func words(_ path: String) -> [String]? {
        guard let bytes = try? FileSystem.contents(of: path, bytesMax: 4 << 20) else { return nil }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The processes whose command holds `part`.
    func processes(with part: String) -> [pid_t] { processes().filter { $0.command.contains(part) }.map(\.process) }

    // MARK: Control groups

    /// The name a daemon gives to its groups: they are looked for at the end.
    func expectGroups(ofNode name: String, stateDirectory: String) {
        groupNames.insert(groupName(ofNode: name, stateDirectory: stateDirectory))
    }

    func groupName(ofNode name: String, stateDirectory: String) -> String {
        var hash: UInt32 = 2_166_136_261
        for byte in (stateDirectory + "/" + name).utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return "distcomp.\(name).\(String(hash, radix: 16))"
    }

    /// The directories of our daemons' control groups that exist.
    func controlGroups() throws -> [String] {
        let mounts = try ControlGroupMounts.current()
        let parents = [mounts.unified, mounts.legacyMemory, mounts.legacyProcesses].compactMap { $0 }
        return parents.flatMap { parent in groupNames.map { parent + "/" + $0 } }.filter { FileSystem.exists($0) }
    }

    /// The groups of tasks that exist, in whatever hierarchy.
    func taskGroups() throws -> [String] {
        try controlGroups().flatMap { root in
            ["/tasks", "/task-groups"].flatMap { part in
                ((try? FileSystem.entries(of: root + part)) ?? []).map { root + part + "/" + $0 }
            }.filter { (try? FileSystem.status(of: $0).isDirectory) == true }
        }
    }

    /// Those of them that are neither empty, and so wait for a task, nor hold no more than a launch that does, or is about to.
    func taskGroupsInUse() throws -> [String] {
        try taskGroups().filter { group in
            text(of: group + "/cgroup.procs").split(separator: "\n").contains { process in
                !isWaitingLaunch(String(process)) && text(of: "/proc/\(process)/comm") != "distcomp-launch\n"
            }
        }
    }

    /// The launches that wait for a task.
    func waitingLaunches() -> [pid_t] { processes().map(\.process).filter { isWaitingLaunch(String($0)) } }

    /// The launchers that stay.
    func stayingLaunchers() -> [pid_t] {
        processes().filter { $0.command.hasPrefix("distcomp-launch ") && $0.command.hasSuffix(" -s") }.map(\.process)
            .filter { !isWaitingLaunch(String($0)) }
    }

    /// By the name that it gives itself once it waits.
    private func isWaitingLaunch(_ process: String) -> Bool { text(of: "/proc/\(process)/comm") == "distcomp-wait\n" }

    // MARK: The end

    /// Nothing of this test is left but files.
    func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await eventually(
            "the end of all processes", within: 600, "\(processes())"
        ) {
            processes().isEmpty
        }
        let groups = try controlGroups()
        #expect(groups.isEmpty, "control groups are left", sourceLocation: sourceLocation)
    }

    /// Removes our daemons' control groups, whatever is in them.
    func removeControlGroups() { for root in (try? controlGroups()) ?? [] { removeGroup(root) } }

    /// Removes those of one daemon.
    func removeControlGroups(ofNode name: String, stateDirectory: String) {
        let suffix = "/" + groupName(ofNode: name, stateDirectory: stateDirectory)
        for root in (try? controlGroups()) ?? [] where root.hasSuffix(suffix) { removeGroup(root) }
    }

    /// Ends and removes what a failed test left.
    fileprivate func clear() {
        for (process, _) in processes() { kill(process, SIGKILL) }
        removeControlGroups()
        _ = try? removeDirectory(path)
    }

    private func removeGroup(_ path: String) {
        for line in text(of: path + "/cgroup.procs").split(separator: "\n") {
            if let process = pid_t(line) { kill(process, SIGKILL) }
        }
        for name in (try? FileSystem.entries(of: path)) ?? [] {
            if (try? FileSystem.status(of: path + "/" + name).isDirectory) == true { removeGroup(path + "/" + name) }
        }
        for _ in 0..<200 where rmdir(path) != 0 && errno == EBUSY { usleep(5_000) }
    }
}

/// Removes a directory with all in it; links are removed, not followed.
private func removeDirectory(_ path: String) throws {
    for name in try FileSystem.entries(of: path) where unlink(path + "/" + name) != 0 {
        try removeDirectory(path + "/" + name)
    }
    rmdir(path)
}

/// Gives `body` a directory and checks, when it is over, that nothing else is left of it.
func withScratch(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (Scratch) async throws -> Void
) async throws {
    let scratch = try Scratch()
    defer { scratch.clear() }
    try await body(scratch)
    try await scratch.expectNothingLeft(sourceLocation: sourceLocation)
}
