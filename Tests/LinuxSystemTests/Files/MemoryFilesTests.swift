// Files and segments in memory, told from others by owner and age.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Files in memory")
struct MemoryFilesTests {
    @Test("a tmpfs is found where it is mounted, and nothing else is")
    func mountPoints() {
        let text = """
            22 27 0:20 / /sys rw,relatime shared:7 - sysfs sysfs rw
            25 27 0:24 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw
            26 27 0:25 / /tmp rw - tmpfs tmpfs rw,size=1g
            27 1 8:1 / / rw - ext4 /dev/sda1 rw
            28 27 0:26 / /odd\\040name rw - tmpfs tmpfs rw
            half a line
            """
        #expect(MemoryFiles.mountPoints(in: text) == ["/dev/shm", "/tmp"])
    }

    @Test("a segment nobody is attached to is told how to be removed; others' and younger ones are not")
    func segments() {
        let text = """
                   key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
                     0          3   600            1048576000    10    10      0 65534     0 65534     0          0          0       1000             104857600                     0
                     0          4   600            1048576000    10    10      1 65534     0 65534     0          0          0       1000             104857600                     0
                     0          5   600            1048576000    10    10      0     1     0     1     0          0          0       1000             104857600                     0
                     0          6   600            1048576000    10    10      0 65534     0 65534     0          0          0       3000             104857600                     0
            """
        #expect(
            MemoryFiles.segments(in: text, ownedBy: 65534, unchangedSince: 2000)
                == [MemoryFile(name: "ipcrm -m 3", sizeBytes: 100 << 20)])
        #expect(MemoryFiles.segments(in: "", ownedBy: 0, unchangedSince: 2000).isEmpty)
        #expect(MemoryFiles.segments(in: "key shmid\n0", ownedBy: 0, unchangedSince: 2000).isEmpty)
    }

    @Test("files are found below folders, largest first, and no link leads anywhere")
    func files() throws {
        let folder = try FileSystem.makeTemporaryDirectory("/dev/shm/distcomp-test-")
        defer { _ = try? FileSystem.removeTree(folder) }
        try FileSystem.createDirectories(folder + "/inner", mode: 0o755)
        func write(_ name: String, bytes: Int) throws {
            try FileSystem.replace(folder + "/" + name, with: [UInt8](repeating: 1, count: bytes), mode: 0o644)
        }
        try write("small", bytes: 100)
        try write("large", bytes: 300_000)
        try write("inner/larger", bytes: 400_000)
        #expect(symlink("/etc", folder + "/link") == 0)

        func found(unchangedSince unixSeconds: Double) -> [String] {
            MemoryFiles.owned(by: Host.userIdentifier, unchangedSince: unixSeconds).map(\.name)
                .filter { $0.hasPrefix(folder) }
        }
        let later = Double(SystemClock.wallSeconds()) + 5
        #expect(found(unchangedSince: later) == [folder + "/inner/larger", folder + "/large"])
        #expect(found(unchangedSince: later - 3600).isEmpty, "one that is younger may be a live task's")
        #expect(
            MemoryFiles.owned(by: Host.userIdentifier &+ 1, unchangedSince: later).allSatisfy {
                !$0.name.hasPrefix(folder)
            })
    }
}
