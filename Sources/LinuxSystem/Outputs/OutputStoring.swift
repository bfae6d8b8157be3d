// How a node keeps what tasks write, `output_store` "packed": a task writes to files without names, which serve the next one when it
// has ended. What it wrote goes into a segment where it is little. What is much, what runs for more than a moment, and whatever cannot be
// packed gets a name in the task's folder, so that it can be followed, and is there however the node ends.

import CLinux
import Glibc

extension OutputDirectory {
    /// What there is for it, and what the settings want.
    struct Storing {
        var packs = false
        /// Whether files have their names from the start, for somebody who reads them while they are written.
        var namesAtOnce = false
        /// Tells this node from others that have their outputs in the same place.
        var node = ""
        /// nil where outputs are files.
        fileprivate(set) var files: SpareFiles?
        fileprivate(set) var folders: SpareFolders?
        fileprivate(set) var segments: SegmentStore?
        /// Why outputs are files though they were to be packed.
        fileprivate(set) var refusal: SystemError?
        /// What is in memory of files that are finished.
        fileprivate var cached: [SharedDescriptor] = []
        fileprivate var segmentBytes = SegmentStore.segmentBytes
        fileprivate let uncacher = Uncacher()
        let retention = OutputRetention()
        var doomedCount = 0
        var nextLookNanoseconds: Int64 = 0
        var nextTouchNanoseconds: Int64 = 0
    }

    /// As much of an output as this is packed, both streams together.
    static let packedBytesMax = 64 << 10
    /// One that runs for longer gets its names.
    public static let namedAfterNanoseconds: Int64 = 1_000_000_000

    /// Has outputs packed from now on. To be called before the directory is opened.
    ///
    /// - Parameters:
    ///   - node: its name among those that have their outputs in the same place.
    ///   - namesAtOnce: whether files have their names from the start all the same.
    public func packOutputs(ofNode node: String, namesAtOnce: Bool = false, segmentBytes: Int64? = nil) {
        (storing.packs, storing.node, storing.namesAtOnce) = (true, node, namesAtOnce)
        if let segmentBytes { storing.segmentBytes = segmentBytes }
        if let directory { prepareStoring(in: directory) }
    }

    /// Why outputs are files though they were to be packed; nil where they are packed, or were not to be.
    public var packingRefusal: SystemError? { storing.refusal }

    func prepareStoring(in directory: SharedDescriptor) {
        guard storing.packs else { return }
        do throws(SystemError) {
            let mode = permissions.file & ~fileModeMask
            let files = try SpareFiles(in: directory, path)
            let segments = SegmentStore(
                in: directory, path, mode: mode & ~0o022 | 0o600, owner: try ownerOfSegments(directory, mode),
                segmentBytes: storing.segmentBytes)
            storing.folders?.clear()
            (storing.files, storing.segments, storing.refusal) = (files, segments, nil)
            storing.folders = SpareFolders(in: directory, ofNode: storing.node)
        } catch {
            (storing.files, storing.segments, storing.folders, storing.refusal) = (nil, nil, nil, error)
        }
    }

    /// Who reads outputs may read segments. Where that is everybody, they belong to whom the directory does, and no task can change them;
    /// else to the tasks' user, who reads them as the files before.
    private func ownerOfSegments(
        _ directory: SharedDescriptor, _ mode: UInt32
    ) throws(SystemError) -> (user: UInt32, group: UInt32)? {
        guard Host.isRoot else { return nil }
        if mode & 0o004 == 0, let owner { return owner }
        var status = stat()
        guard fstat(directory.raw, &status) == 0 else { throw .last("fstat", path) }
        return status.st_uid == 0 ? nil : (status.st_uid, status.st_gid)
    }

    // MARK: The begin

    /// Files for the two streams of an attempt: without names where that can be, and in a folder which was another's before.
    public func beginOutput(named name: String, attempt: Int) throws(SystemError) -> TaskOutput {
        guard let files = storing.files, !storing.namesAtOnce, SegmentRecord.task(named: name) != nil,
            let folder = try emptyFolder(name)
        else { return try createOutput(named: name, attempt: attempt) }
        do throws(SystemError) {
            let (pair, ends) = try files.take()
            return TaskOutput(
                pair, ends: ends, folder: folder, folderPath: "\(path)/\(name)", attempt: attempt, isNamed: false)
        } catch {
            release(folder)
            throw error
        }
    }

    /// nil where there is something of that name already: of an earlier attempt, say.
    private func emptyFolder(_ name: String) throws(SystemError) -> TaskFolder? {
        if let folder = storing.folders?.take(name) { return folder }
        do throws(SystemError) {
            let (descriptor, isNew) = try makeFolder(name)
            return isNew ? try TaskFolder(name, descriptor, isNew: true) : nil
        } catch {
            // Not a directory, say: that is dealt with where it is used.
            guard error.isOfTheMachine || error.call == "chown" else { return nil }
            throw error
        }
    }

    private func release(_ folder: TaskFolder) { storing.folders?.giveBack(folder) }

    // MARK: While it runs

    /// Gives the files of an output their names in its folder, unless they have them.
    public func name(_ output: TaskOutput) throws(SystemError) {
        guard !output.isNamed, let folder = output.folder, case .files(let pair) = output.content else { return }
        if output.attempt > 1 {
            try keepEarlier(in: folder.descriptor, of: folder.name, isNew: true, before: output.attempt)
        }
        for stream in TaskStream.allCases { try name(pair[stream], stream, in: folder, output.folderPath) }
        output.isNamed = true
    }

    private func name(
        _ file: SharedDescriptor, _ stream: TaskStream, in folder: TaskFolder, _ folderPath: String
    ) throws(SystemError) {
        let subject = "\(folderPath)/\(stream.rawValue)"
        guard fchmod(file.raw, permissions.file & ~fileModeMask) == 0 else { throw .last("chmod", subject) }
        if clinux_link(file.raw, folder.descriptor.raw, stream.rawValue) != 0 {
            // The task has made a file of that name itself: it keeps it, under another.
            guard errno == EEXIST, !has(file, stream, in: folder) else {
                if errno == EEXIST { return }
                throw .last("link", subject)
            }
            for number in 1...Self.setAsideMax {
                let other = "\(stream.rawValue).own-\(number)"
                if clinux_rename_in(folder.descriptor.raw, stream.rawValue, other) == 0 || errno != EEXIST { break }
            }
            guard clinux_link(file.raw, folder.descriptor.raw, stream.rawValue) == 0 else {
                throw .last("link", subject)
            }
        }
        try give(file.raw, subject)
    }

    /// Whether the name in the folder is that of this very file.
    private func has(_ file: SharedDescriptor, _ stream: TaskStream, in folder: TaskFolder) -> Bool {
        var (named, open) = (stat(), stat())
        return fstatat(folder.descriptor.raw, stream.rawValue, &named, AT_SYMLINK_NOFOLLOW) == 0
            && fstat(file.raw, &open) == 0 && named.st_ino == open.st_ino && named.st_dev == open.st_dev
    }

    /// An output that the image of the daemon before this one had: with its folder, which is made anew where the task has removed it, and its
    /// names if it has them. Throws where there can be no folder: without one, the output has no place to stay.
    public func resumed(_ output: TaskOutput, named name: String) throws(SystemError) -> TaskOutput {
        guard case .files(let pair) = output.content, FileSystem.isPlainName(name) else { return output }
        let folder = try TaskFolder(name, try makeFolder(name).0, isNew: false)
        let isNamed = TaskStream.allCases.allSatisfy { has(pair[$0], $0, in: folder) }
        return TaskOutput(
            pair, folder: folder, folderPath: output.folderPath, attempt: output.attempt, isNamed: isNamed)
    }

    // MARK: The end

    /// Puts an output where it stays. To be called when nothing writes to it any more.
    ///
    /// - Returns: why it was given a name instead of being packed, where it was to be; or why it has neither.
    @discardableResult
    public func store(_ output: TaskOutput, endedUnixMilliseconds: Int64) -> SystemError? {
        guard let segments = storing.segments, let folder = output.folder, !output.isReported,
            case .files(let pair) = output.content
        else { return nil }
        output.closeEnds()
        let sizes = TaskStream.allCases.map { pair[$0].sizeBytes ?? Int64.max / 4 }
        var failure: SystemError?
        do throws(SystemError) {
            if sizes[0] + sizes[1] == 0 {
                output.content = .packed(.empty, nil, record: [])
            } else if sizes[0] + sizes[1] <= Int64(Self.packedBytesMax),
                let task = SegmentRecord.task(named: folder.name)
            {
                let record = SegmentRecord(
                    task: task, attempt: output.attempt, standardOutputBytes: Int(sizes[0]),
                    standardErrorBytes: Int(sizes[1]), endedUnixMilliseconds: endedUnixMilliseconds)
                let (place, segment, bytes) = try segments.append(record, from: pair.standardOutput, pair.standardError)
                output.content = .packed(
                    place, segment, record: bytes.count <= Self.rememberedBytesMax ? bytes : nil)
                cache(segments.takeFinished())
            }
        } catch {
            failure = error
        }
        if case .packed = output.content {
            takeNames(of: pair, output, folder)
            return nil
        }
        do throws(SystemError) {
            try name(output)
            cache([pair.standardOutput, pair.standardError])
        } catch {
            return error
        }
        return failure
    }

    /// More are not kept open for it: what is in memory of the others, the kernel takes back when it wants it.
    private static let cachedCountMax = 128

    private func cache(_ files: [SharedDescriptor]) {
        guard storing.cached.count < Self.cachedCountMax else { return }
        storing.cached += files
    }

    /// What is read of an output a moment later, for its report, is kept in memory where it is short.
    private static let rememberedBytesMax = 4 << 10

    /// Nobody needs the files any more. What had a name may be open elsewhere, by who follows it: it goes with that.
    private func takeNames(of pair: OutputPair, _ output: TaskOutput, _ folder: TaskFolder) {
        if output.isNamed {
            for stream in TaskStream.allCases where has(pair[stream], stream, in: folder) {
                unlinkat(folder.descriptor.raw, stream.rawValue, 0)
            }
            if folder.isNew { unlinkat(folder.descriptor.raw, KeptAttempts.fileName, 0) }
            output.isNamed = false
        } else {
            storing.files?.giveBack(pair)
        }
        release(folder)
    }

    /// Lets go of the output of a task that never began.
    public func discard(_ output: TaskOutput) {
        output.closeEnds()
        guard storing.segments != nil, let folder = output.folder, case .files(let pair) = output.content,
            !output.isReported
        else { return }
        output.content = .packed(.empty, nil, record: [])
        takeNames(of: pair, output, folder)
    }

    /// Notes where the output of an attempt is that failed, for who asks for it when another has followed.
    public func noteFailure(_ output: TaskOutput) throws(SystemError) {
        guard let segments = storing.segments, let folder = output.folder,
            let task = SegmentRecord.task(named: folder.name)
        else { return }
        try segments.note(
            IndexedAttempt(
                task: task, attempt: output.attempt, endedUnixSeconds: SystemClock.wallNanoseconds() / 1_000_000_000,
                place: output.place))
    }

    // MARK: Afterwards

    /// Opens what an attempt that has ended wrote to a stream; nil where that is not here, or is not a plain file of the task's own any
    /// more.
    ///
    /// - Parameter place: where it stands, for all that is known.
    /// - Throws: what tells of the machine: then it may be here.
    public func openOutput(
        named name: String, _ stream: TaskStream, ofAttempt attempt: Int, at place: SegmentPlace? = nil
    ) throws(SystemError) -> StoredStream? {
        guard let directory else { return nil }
        do throws(SystemError) {
            let results = try GuardedDirectory(path, try OwnedDescriptor.duplicate(of: directory.raw))
            if let place, let streams = try results.packedOutput(ofTask: name, attempt: attempt, at: place) {
                return StoredStream(streams[stream])
            }
            return try results.earlierOutput(ofTask: name, stream, attempt: attempt)
        } catch {
            if error.isOfTheMachine { throw error }
            return nil
        }
    }

    /// How much of the disk an output takes, in bytes: its streams and what the task made beside them, as far as a short look tells.
    public func bytesOnDisk(of output: TaskOutput) -> UInt64 {
        bytesOnDisk(ofOutputNamed: output.name) &+ output.bytesOnDiskUnnamed
    }

    /// To be called now and then: what waits in vain is given up, and what is in memory of finished files is given back.
    public func tidy() {
        storing.files?.clearIdle()
        storing.folders?.clearIdle()
        guard !storing.cached.isEmpty else { return }
        if storing.uncacher.start(storing.cached) { storing.cached = [] }
    }

    /// Removes what waits for tasks to come.
    public func clearSpares() {
        storing.folders?.clear()
        storing.files?.clear()
    }
}
