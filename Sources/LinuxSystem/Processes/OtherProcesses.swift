// What /proc tells of processes that are not our children.

import CLinux
import Glibc

extension Host {
    /// The processes of a user. Costs a look at every process there is.
    public static func processes(ofUser identifier: UInt32) -> [Int32] {
        let names = (try? FileSystem.entries(of: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { process in
            var status = stat()
            return stat("/proc/\(process)", &status) == 0 && status.st_uid == identifier
        }
    }

    /// The environment that a process was started with, as `NAME=value` in bytes.
    public static func environment(ofProcess process: Int32) throws(SystemError) -> [[UInt8]] {
        try FileSystem.contents(of: "/proc/\(process)/environ", bytesMax: 4 << 20).split(separator: 0).map { Array($0) }
    }

    /// The path of its group in the v2 tree, as cgroups(7) has it; nil where there is none.
    public static func controlGroup(ofProcess process: Int32) throws(SystemError) -> String? {
        let lines = try FileSystem.text(of: "/proc/\(process)/cgroup").split(separator: "\n")
        return lines.first { $0.hasPrefix("0::") }.map { String($0.dropFirst("0::".count)) }
    }
}
