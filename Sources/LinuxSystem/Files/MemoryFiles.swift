// Files that take memory rather than disk: those of a tmpfs, such as /dev/shm, and segments of System V. They stay when the program
// that made them has ended, and nobody looks there, so whoever wonders where the memory went is told their names.

import CLinux
import Glibc

/// A file in memory, or a segment of shared memory.
public struct MemoryFile: Equatable, Sendable {
    /// Its path; of a segment, how ipcrm(1) is told of it.
    public let name: String
    public let sizeBytes: UInt64
}

public enum MemoryFiles {
    private static let mountsMax = 16
    private static let entriesMax = 20_000
    private static let depthMax = 4
    /// File systems look at the clock only now and then, so a file may seem a little older than it is.
    private static let clockStepSeconds = 0.1
    /// Smaller ones explain nothing.
    private static let sizeBytesMin: UInt64 = 64 << 10

    /// What `user` owns of them and nobody has changed since `unixSeconds`, the largest first. A file that is not seen because there
    /// are too many is as good as one that cannot be told.
    public static func owned(by user: UInt32, unchangedSince unixSeconds: Double) -> [MemoryFile] {
        var walk = Walk(user: user, unixSeconds: unixSeconds)
        let mounts = (try? FileSystem.text(of: "/proc/self/mountinfo", bytesMax: 16 << 20)) ?? ""
        for point in mountPoints(in: mounts).prefix(mountsMax) { walk.enter(mount: point) }
        let table = (try? FileSystem.text(of: "/proc/sysvipc/shm", bytesMax: 4 << 20)) ?? ""
        let all = walk.files + segments(in: table, ownedBy: user, unchangedSince: unixSeconds)
        return all.filter { $0.sizeBytes >= sizeBytesMin }.sorted { ($1.sizeBytes, $0.name) < ($0.sizeBytes, $1.name) }
    }

    /// Where a tmpfs is mounted, by the text of /proc/self/mountinfo.
    static func mountPoints(in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 1,
                fields[dash + 1] == "tmpfs",
                !fields[4].contains("\\")  // An escaped blank: somebody's odd name, which none of ours is.
            else { return nil }
            return String(fields[4])
        }
    }

    /// The segments nobody is attached to, by the text of /proc/sysvipc/shm.
    static func segments(in text: String, ownedBy user: UInt32, unchangedSince unixSeconds: Double) -> [MemoryFile] {
        let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        guard let heading = lines.first else { return [] }
        func value(_ name: Substring, _ line: [Substring]) -> Substring? {
            heading.firstIndex(of: name).flatMap { $0 < line.count ? line[$0] : nil }
        }
        return lines.dropFirst().compactMap { line in
            guard value("nattch", line) == "0", value("uid", line).flatMap({ UInt32($0) }) == user,
                let changed = value("ctime", line).flatMap({ Double($0) }), changed < unixSeconds,
                let identifier = value("shmid", line),
                let bytes = (value("rss", line) ?? value("size", line)).flatMap({ UInt64($0) })
            else { return nil }
            return MemoryFile(name: "ipcrm -m \(identifier)", sizeBytes: bytes)
        }
    }

    /// By descriptors, and never through a link: what is below is whoever's who may write there.
    private struct Walk {
        let user: UInt32
        let unixSeconds: Double
        var files: [MemoryFile] = []
        private var entriesLeft = entriesMax
        private var devices: Set<UInt64> = []

        init(user: UInt32, unixSeconds: Double) {
            self.user = user
            self.unixSeconds = unixSeconds
        }

        mutating func enter(mount path: String) {
            guard let directory = try? OwnedDescriptor.open(path, [.readOnly, .directory, .doNotFollow]) else { return }
            var status = stat()
            // Others may write there, or it is the user's own. One file system may be mounted in several places.
            guard fstat(directory.raw, &status) == 0, status.st_mode & 0o002 != 0 || status.st_uid == user,
                devices.insert(UInt64(status.st_dev)).inserted
            else { return }
            look(into: SharedDescriptor(directory), path, device: UInt64(status.st_dev), depth: 1)
        }

        private mutating func look(into directory: SharedDescriptor, _ path: String, device: UInt64, depth: Int) {
            let names = try? FileSystem.entries(of: "/proc/self/fd/\(directory.raw)", countMax: entriesLeft)
            for name in names ?? [] {
                entriesLeft -= 1
                var status = stat()
                guard fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_uid == user,
                    UInt64(status.st_dev) == device
                else { continue }
                if status.st_mode & S_IFMT == S_IFREG {
                    let changed = Double(status.st_ctim.tv_sec) + Double(status.st_ctim.tv_nsec) / 1e9
                    guard changed < unixSeconds - clockStepSeconds else { continue }
                    let bytes = UInt64(max(0, status.st_blocks)) &* 512
                    files.append(MemoryFile(name: "\(path)/\(name)", sizeBytes: bytes))
                } else if status.st_mode & S_IFMT == S_IFDIR, depth < depthMax, entriesLeft > 0,
                    let inner = try? OwnedDescriptor.open(
                        name, [.readOnly, .directory, .doNotFollow], below: directory)
                {
                    look(into: SharedDescriptor(inner), "\(path)/\(name)", device: device, depth: depth + 1)
                }
            }
        }
    }
}
