// Where the control groups of this process are. Three layouts are met: one v2 tree with every controller; a hybrid, whose v2
// tree tracks processes while memory and pids stay on v1; and containers, which see a part of either.

/// The directories of the control groups this process is in, one per hierarchy that matters to us.
public struct ControlGroupMounts: Equatable, Sendable {
    /// Our directory in the v2 tree.
    public var unified: String?
    /// Where that tree is mounted.
    public var unifiedMount: String?
    /// Our directory under the v1 memory controller, when memory is not on v2.
    public var legacyMemory: String?
    /// Where that hierarchy is mounted.
    public var legacyMemoryMount: String?
    /// Our directory under the v1 pids controller, when pids is not on v2.
    public var legacyProcesses: String?
    /// Our directory under the v1 cpu controller, when cpu is not on v2.
    public var legacyProcessorTime: String?
    /// Where that hierarchy is mounted.
    public var legacyProcessorTimeMount: String?

    /// Reads /proc/self/cgroup and /proc/self/mountinfo, see cgroups(7) and proc(5).
    ///
    /// - Parameter process: whose groups; nil for our own.
    public static func current(of process: Int32? = nil) throws(SystemError) -> ControlGroupMounts {
        let memberships = try FileSystem.text(of: "/proc/\(process.map { "\($0)" } ?? "self")/cgroup")
        let mounts = try FileSystem.text(of: "/proc/self/mountinfo", bytesMax: 16 << 20)
        return ControlGroupMounts(memberships: memberships, mounts: mounts)
    }

    /// Finds our groups from the text of the two files.
    public init(memberships: String, mounts: String) {
        let groups = ControlGroupMounts.groups(in: memberships)
        for line in mounts.split(separator: "\n") {
            guard let mount = Mount(line) else { continue }
            // Of several mounts of one hierarchy, the first that shows our group is taken.
            if mount.type == "cgroup2", unified == nil, let group = groups[""] {
                unified = mount.directory(of: group)
                unifiedMount = unified == nil ? nil : mount.point
            } else if mount.type == "cgroup" {
                if legacyMemory == nil, let directory = mount.directory(of: "memory", among: groups) {
                    (legacyMemory, legacyMemoryMount) = (directory, mount.point)
                }
                if legacyProcesses == nil { legacyProcesses = mount.directory(of: "pids", among: groups) }
                if legacyProcessorTime == nil, let directory = mount.directory(of: "cpu", among: groups) {
                    (legacyProcessorTime, legacyProcessorTimeMount) = (directory, mount.point)
                }
            }
        }
    }

    /// `directory` and those above it up to `mount`, the highest that can be seen.
    static func upwards(from directory: String, to mount: String) -> [String] {
        var directories = [directory]
        while let last = directories.last, last.count > mount.count, let slash = last.lastIndex(of: "/") {
            directories.append(String(last[..<slash]))
        }
        return directories
    }

    /// Controller name ("" for v2) to the path of our group below the root of that hierarchy.
    private static func groups(in memberships: String) -> [Substring: Substring] {
        var groups: [Substring: Substring] = [:]
        for line in memberships.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            for controller in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
                groups[controller] = fields[2]
            }
        }
        return groups
    }

    /// One line of mountinfo: `36 35 98:0 /root /point opts - type source superopts`.
    private struct Mount {
        let root: String
        let point: String
        let type: Substring
        let options: [Substring]

        init?(_ line: Substring) {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { return nil }
            root = unescaped(fields[3])
            point = unescaped(fields[4])
            type = fields[dash + 1]
            options = fields[dash + 3].split(separator: ",")
        }

        /// The directory of our group of `controller`, or nil when this is not its hierarchy.
        func directory(of controller: Substring, among groups: [Substring: Substring]) -> String? {
            guard options.contains(controller), let group = groups[controller] else { return nil }
            return directory(of: group)
        }

        /// The directory of `group` under this mount, or nil when the mount shows another part of the hierarchy.
        func directory(of group: Substring) -> String? {
            if root == "/" {
                // Outside of our control group namespace: the path would lead out of the mount.
                if group == "/.." || group.hasPrefix("/../") { return nil }
                return group == "/" ? point : point + group
            }
            guard group.hasPrefix(root) else { return nil }
            let below = group.dropFirst(root.count)
            guard below.isEmpty || below.hasPrefix("/") else { return nil }
            return point + below
        }
    }
}

/// mountinfo writes white space and backslashes in paths as three octal digits.
private func unescaped(_ field: Substring) -> String {
    guard field.contains("\\") else { return String(field) }
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let first = rest.popFirst() {
        if first == 92, rest.count >= 3, let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
            bytes.append(code)
            rest.removeFirst(3)
        } else {
            bytes.append(first)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
