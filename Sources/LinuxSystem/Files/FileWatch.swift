// Learns that a file was written or replaced, by inotify(7), so that nobody need ask.

import CLinux
import Glibc

/// Watches one file, through the directory it is in: editors and package managers put a new file in place of the old.
public struct FileWatch: ~Copyable {
    private let owned: OwnedDescriptor
    private let name: [UInt8]

    /// - Throws: when its directory cannot be watched: ENOENT, EACCES, or ENOSPC when the user's watches are used up.
    public init(path: String) throws(SystemError) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { String(path[...$0]) } ?? "."
        name = Array(path[(slash.map { path.index(after: $0) } ?? path.startIndex)...].utf8)
        let raw = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard raw >= 0 else { throw .last("inotify_init1", path) }
        let queue = OwnedDescriptor(adopting: raw)
        // Closed after writing, or renamed into place: either way it is whole by then.
        guard inotify_add_watch(raw, directory, UInt32(IN_CLOSE_WRITE | IN_MOVED_TO)) >= 0 else {
            throw .last("inotify_add_watch", directory)
        }
        owned = queue
    }

    /// Readable when something happened in the directory.
    public var descriptor: Int32 { owned.raw }

    /// Whether the file was written or replaced since last asked.
    public func hasChanged() -> Bool {
        var changed = false
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = retryingInterrupted { read(owned.raw, &buffer, buffer.count) }
            guard count > 0 else { return changed }
            if Self.mention(name, in: buffer[..<count]) { changed = true }
        }
    }

    /// Whether a run of `struct inotify_event`s names the file; so does the one that says that events were lost.
    private static func mention(_ name: [UInt8], in events: ArraySlice<UInt8>) -> Bool {
        let headerCount = MemoryLayout<inotify_event>.size
        var rest = events
        while rest.count >= headerCount {
            let header = rest.withUnsafeBytes { $0.loadUnaligned(as: inotify_event.self) }
            if header.mask & UInt32(IN_Q_OVERFLOW) != 0 { return true }
            let padded = rest.dropFirst(headerCount).prefix(Int(header.len))
            if padded.prefix(while: { $0 != 0 }).elementsEqual(name) { return true }
            rest = rest.dropFirst(headerCount + Int(header.len))
        }
        return false
    }
}
