// Learns that a file was written or replaced, by inotify(7), so that nobody need ask.

import CLinux
import Glibc

/// Watches what a path names: the file, through the directory it is in, since editors and package managers put a new file in place of
/// the old; and every link on the way, since a Kubernetes ConfigMap is a link to a file in a directory that is a link, and that one
/// is what is replaced.
public final class FileWatch {
    private let owned: OwnedDescriptor
    private let path: String
    /// What is looked for in each directory that is watched.
    private var names: [Int32: Set<[UInt8]>] = [:]

    private static let linksMax = 40

    /// - Throws: when the file's own directory cannot be watched: ENOENT, EACCES, or ENOSPC when the user's watches are used up.
    public init(path: String) throws(SystemError) {
        self.path = path
        let raw = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard raw >= 0 else { throw .last("inotify_init1", path) }
        owned = OwnedDescriptor(adopting: raw)
        // Without the directory the path names there is nothing to see, now or later.
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        guard inotify_add_watch(raw, directory, Self.events) >= 0 else { throw .last("inotify_add_watch", directory) }
        watchAll()
    }

    /// Closed after writing, or renamed into place: either way a file is whole by then. A link is whole as soon as it is there.
    private static let events = UInt32(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE)

    /// Readable when something happened in one of the directories.
    public var descriptor: Int32 { owned.raw }

    /// Whether another file, or another content, may have come since last asked.
    public func hasChanged() -> Bool {
        var changed = false
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = retryingInterrupted { read(owned.raw, &buffer, buffer.count) }
            guard count > 0 else { break }
            if isOfConcern(buffer[..<count]) { changed = true }
        }
        // Before the file is read: what changes after this is seen.
        if changed { watchAll() }
        return changed
    }

    /// Whether a run of `struct inotify_event`s tells of one of our names; so does the one that says that events were lost.
    private func isOfConcern(_ events: ArraySlice<UInt8>) -> Bool {
        let headerCount = MemoryLayout<inotify_event>.size
        var rest = events
        while rest.count >= headerCount {
            let header = rest.withUnsafeBytes { $0.loadUnaligned(as: inotify_event.self) }
            if header.mask & UInt32(IN_Q_OVERFLOW) != 0 { return true }
            let padded = rest.dropFirst(headerCount).prefix(Int(header.len))
            let name = Array(padded.prefix { $0 != 0 })
            // A file that was created is told again when it has been written.
            if names[header.wd]?.contains(name) == true, header.mask & UInt32(IN_CREATE) == 0 || leadsThroughLink(name)
            {
                return true
            }
            rest = rest.dropFirst(headerCount + Int(header.len))
        }
        return false
    }

    // MARK: The chain

    /// A name on the way of the path, in its directory.
    private struct Place {
        var directory: String
        var name: String
        /// Where it leads; nil for what is no link.
        var target: String?
    }

    private func leadsThroughLink(_ name: [UInt8]) -> Bool {
        Self.chain(of: path).contains { $0.target != nil && Array($0.name.utf8) == name }
    }

    /// Watches every place of the chain that there is now, and none else.
    private func watchAll() {
        var wanted: [Int32: Set<[UInt8]>] = [:]
        for place in Self.chain(of: path) {
            // One that cannot be watched costs nothing but a signal after a change of it.
            let watch = inotify_add_watch(owned.raw, place.directory, Self.events)
            if watch >= 0 { wanted[watch, default: []].insert(Array(place.name.utf8)) }
        }
        for watch in names.keys where wanted[watch] == nil { inotify_rm_watch(owned.raw, watch) }
        names = wanted
    }

    /// Every link on the way of `path`, and the file at its end, whether it is there or not.
    private static func chain(of path: String) -> [Place] {
        var chain: [Place] = []
        var directory = path.hasPrefix("/") ? "/" : "."
        var rest: [String] = components(path)
        while let name = rest.popLast() {
            let whole = directory == "/" ? "/" + name : directory + "/" + name
            let target = try? FileSystem.destination(ofLink: whole)
            if target != nil || rest.isEmpty {
                chain.append(Place(directory: directory, name: name, target: target))
            }
            if let target, chain.count <= linksMax {
                if target.hasPrefix("/") { directory = "/" }
                rest += components(target)
            } else {
                directory = whole
            }
        }
        return chain
    }

    private static func components(_ path: String) -> [String] {
        path.split(separator: "/").map { String($0) }.reversed()
    }
}
