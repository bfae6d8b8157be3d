// A place for what would be too much to hold in memory, such as the order of ten million tasks.

import LinuxSystem

/// A file below TMPDIR that has no name: it goes when we do, however we end.
struct TemporaryFile {
    let descriptor: SharedDescriptor
    /// What it was called.
    private let path: String

    init() throws(CommandError) {
        let parent = Host.environment("TMPDIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        do throws(SystemError) {
            let directory = try FileSystem.makeTemporaryDirectory(parent + "/distcomp.")
            let path = directory + "/rows"
            self.path = path
            defer {
                try? FileSystem.remove(path)
                try? FileSystem.removeDirectory(directory)
            }
            descriptor = SharedDescriptor(
                try OwnedDescriptor.open(path, [.readWrite, .create, .exclusive], mode: 0o600))
        } catch {
            throw .failed("\(error)")
        }
    }

    func append(_ bytes: [UInt8]) throws(CommandError) {
        do throws(SystemError) {
            try descriptor.writeAll(bytes, subject: path)
        } catch {
            throw .failed("\(error)")
        }
    }

    /// Fewer bytes where it ends earlier.
    func read(at offset: Int64, count: Int) throws(CommandError) -> [UInt8] {
        do throws(SystemError) {
            return try descriptor.read(at: offset, count: count, subject: path)
        } catch {
            throw .failed("\(error)")
        }
    }
}
