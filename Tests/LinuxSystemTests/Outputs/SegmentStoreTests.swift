// Small outputs in segments: what was appended is read back, byte for byte, or is known to be damaged; whatever a record, a file or a
// disk says, nobody is shown another task's output, and nothing that was whole is lost.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Segments")
struct SegmentStoreTests {
    private let folder: TemporaryFolder
    private let results: SharedDescriptor

    init() throws {
        folder = try TemporaryFolder()
        results = SharedDescriptor(try OwnedDescriptor.open(folder.path, [.readOnly, .directory]))
    }

    private func store(_ segmentBytes: Int64 = SegmentStore.segmentBytes) -> SegmentStore {
        SegmentStore(in: results, folder.path, mode: 0o644, owner: nil, segmentBytes: segmentBytes)
    }

    /// What a next life appends, to the segment that it should. A process that another test starts has a copy of every descriptor until its
    /// exec, and with it the lock of the life before: then it is another segment, and tried again.
    private func appendNext(
        _ task: UInt64, _ output: String, expecting segment: UInt32 = 1
    ) throws -> SegmentPlace? {
        var place: SegmentPlace?
        try waitUntil("the next life has appended to segment \(segment)") {
            if let place, place.segment > segment { try FileSystem.remove(path(place.segment)) }
            place = try append(task, output, to: store())
            return place?.segment == segment
        }
        return place
    }

    private func file(_ bytes: [UInt8]) throws -> SharedDescriptor {
        SharedDescriptor(try OwnedDescriptor.memoryFile("output", bytes))
    }

    private func name(_ task: UInt64) -> String {
        let digits = String(task, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    @discardableResult
    private func append(
        _ task: UInt64, _ output: String, _ error: String = "", attempt: Int = 1, to store: SegmentStore
    ) throws -> SegmentPlace {
        let record = SegmentRecord(
            task: task, attempt: attempt, standardOutputBytes: output.utf8.count, standardErrorBytes: error.utf8.count,
            endedUnixMilliseconds: 1)
        return try store.append(record, from: try file(Array(output.utf8)), try file(Array(error.utf8))).place
    }

    private func read(_ task: UInt64, at place: SegmentPlace, attempt: Int? = nil) throws -> String? {
        let results = try GuardedDirectory(path: folder.path)
        return try results.packedOutput(ofTask: name(task), attempt: attempt, at: place).map {
            String(decoding: $0.standardOutput + Array("|".utf8) + $0.standardError, as: UTF8.self)
        }
    }

    private func path(_ number: UInt32 = 1) -> String { "\(folder.path)/segments/\(SegmentStore.fileName(number))" }

    private func cut(_ path: String, to bytes: Int) throws {
        guard truncate(path, bytes) == 0 else { throw SystemError.last("truncate", path) }
    }

    /// Writes over a piece of a file.
    private func overwrite(_ path: String, _ bytes: [UInt8], at offset: Int) throws {
        let file = try OwnedDescriptor.open(path, [.writeOnly])
        guard pwrite(file.raw, bytes, bytes.count, offset) == bytes.count else { throw SystemError.last("write", path) }
    }

    @Test("what was appended is read back, by its task and its attempt alone")
    func roundTrip() throws {
        let store = store()
        let texts = ["", "a", String(repeating: "line\n", count: 13_000), "\0\u{ff}é"]
        var places: [(UInt64, String, String, SegmentPlace)] = []
        for (index, output) in texts.enumerated() {
            for error in ["", "bad"] where !(output.isEmpty && error.isEmpty) {
                let task = UInt64(index) << 60 | UInt64(error.utf8.count)
                places.append((task, output, error, try append(task, output, error, attempt: 2, to: store)))
            }
        }
        for (task, output, error, place) in places {
            #expect(try read(task, at: place, attempt: 2) == output + "|" + error)
            #expect(try read(task, at: place) == output + "|" + error)
            #expect(try read(task, at: place, attempt: 1) == nil)
            #expect(try read(task ^ 4, at: place) == nil)
        }
    }

    @Test("a segment that is full is followed by the next, and neither is longer than it may be by more than nothing")
    func roll() throws {
        let store = store(1000)
        let places = try (1...20).map { try append(UInt64($0), String(repeating: "x", count: 200), to: store) }
        for (index, place) in places.enumerated() { #expect(place.segment == UInt32(index / 3 + 1)) }
        for number in UInt32(1)...6 { #expect(try FileSystem.status(of: path(number)).sizeBytes == 3 * 264) }
        for (index, place) in places.enumerated() {
            #expect(try read(UInt64(index + 1), at: place)?.utf8.count == 201)
        }
        #expect(store.takeFinished().count == 6)
        #expect(store.takeFinished().isEmpty)
        // One that does not fit into any has one of its own.
        let large = try append(99, String(repeating: "y", count: 5000), to: store)
        #expect(large.segment == 8)
        #expect(try read(99, at: large)?.utf8.count == 5001)
    }

    @Test("the next life appends behind what is there, and a second node in the same place to segments of its own")
    func lives() throws {
        var first: SegmentStore? = store()
        let one = try append(1, "one", to: try #require(first))
        let other = store()
        let two = try append(2, "two", to: other)
        #expect(two.segment == 2)
        first = nil
        let third = store()
        // The last is the other node's; what is not the last is not looked at.
        #expect(try append(3, "three", to: third).segment == 3)
        #expect(try read(1, at: one) == "one|" && read(2, at: two) == "two|")
    }

    @Test("whatever is torn off the end of a segment, all records before are read, and the next one follows them")
    func torn() throws {
        var places: [SegmentPlace] = []
        do {
            let store = store()
            for task in UInt64(1)...3 { places.append(try append(task, "output \(task)", "error", to: store)) }
        }
        let bytes = try FileSystem.contents(of: path())
        let ends = places.map { Int($0.offset) + $0.standardOutputBytes + $0.standardErrorBytes }
        #expect(ends.last == bytes.count)
        for length in 0...bytes.count {
            try cut(path(), to: 0)
            try overwrite(path(), Array(bytes[..<length]), at: 0)
            let whole = ends.filter { $0 <= length }
            let place = try #require(try appendNext(9, "next"))
            #expect(place.recordOffset == Int64(whole.last ?? 0), "cut to \(length)")
            for (index, earlier) in places.enumerated() {
                #expect((try read(UInt64(index + 1), at: earlier) != nil) == (index < whole.count), "cut to \(length)")
            }
            #expect(try read(9, at: place) == "next|")
        }
    }

    @Test("an end that was never written, zeros or remains of another file, is cut off as well", arguments: [0, 0xAA])
    func unwritten(byte: UInt8) throws {
        var place: SegmentPlace?
        do { place = try append(1, "one", to: store()) }
        try overwrite(path(), [UInt8](repeating: byte, count: 5000), at: 67)
        #expect(try appendNext(2, "two")?.recordOffset == 67)
        #expect(try read(1, at: try #require(place)) == "one|")
    }

    @Test(
        "a byte that changed costs the record it is in, wherever it is, and no other; nothing is written over what is whole"
    )
    func damaged() throws {
        var places: [SegmentPlace] = []
        do {
            let store = store()
            for task in UInt64(1)...3 { places.append(try append(task, "output \(task)", "error", to: store)) }
        }
        let bytes = try FileSystem.contents(of: path())
        let second = Int(places[1].recordOffset)..<Int(places[2].recordOffset)
        for place in second {
            try overwrite(path(), [bytes[place] ^ 0x10], at: place)
            #expect(try read(2, at: places[1]) == nil, "at \(place)")
            let isInHead = place < second.lowerBound + 64
            let next = try #require(try appendNext(9, "next", expecting: isInHead ? 2 : 1), "at \(place)")
            #expect(try read(1, at: places[0]) == "output 1|error" && read(3, at: places[2]) == "output 3|error")
            #expect(try read(9, at: next) == "next|")
            for number in UInt32(1)...3 where FileSystem.exists(path(number)) { try FileSystem.remove(path(number)) }
            try folder.file("segments/" + SegmentStore.fileName(1), bytes)
        }
    }

    @Test("a place that is not that of a record of this task shows nothing, and nothing outside of segments is opened")
    func hostilePlaces() throws {
        let store = store()
        let first = try append(1, "mine", to: store)
        let secret = try append(2, "secret", "of another", to: store)
        func place(_ segment: UInt32, _ offset: Int64, _ output: Int, _ error: Int) -> SegmentPlace? {
            SegmentPlace(checking: segment, offset: offset, standardOutputBytes: output, standardErrorBytes: error)
        }
        for (segment, offset, output, error) in [
            (0, 64, 1, 0), (1, 0, 1, 0), (1, 63, 1, 0), (1, .max, 1, 0), (1, -1, 1, 0), (1, 64, -1, 2),
            (1, 64, .max, 1), (1, 64, 1 << 20, 1), (1, 64, 0, 0), (0, 0, 0, 1),
        ] as [(UInt32, Int64, Int, Int)] {
            #expect(place(segment, offset, output, error) == nil)
        }
        // As long as the second record, from the first on; and all over the file.
        for offset in 64..<300 {
            for (output, error) in [(4, 0), (6, 10), (74, 10), (0, 4), (1000, 1000)] {
                guard let place = place(1, Int64(offset), output, error) else { continue }
                let text = try read(1, at: place)
                #expect(text == nil || place == first && text == "mine|")
            }
        }
        #expect(try read(2, at: secret) == "secret|of another")
        #expect(try read(1, at: secret) == nil)
        #expect(try read(1, at: try #require(place(7, 64, 4, 0))) == nil)
        // Another file under the name of a segment.
        guard symlink(path(), path(7)) == 0, mkfifo(path(8), 0o644) == 0, mkdir(path(9), 0o755) == 0 else {
            throw SystemError.last("lay", path(7))
        }
        for number in UInt32(7)...9 { #expect(try read(1, at: try #require(place(number, 64, 4, 0))) == nil) }
        #expect(try append(3, "on", to: store).segment == 1)
    }

    @Test("numbers that others took are passed over, and what is no segment is no number")
    func strangeNames() throws {
        try FileSystem.createDirectories(folder.path + "/segments", mode: 0o755)
        for name in ["00000041", "42", "00000043x", "4294967295000", "00000000", "-0000001", "00000040.attempts"] {
            try folder.file("segments/" + name, "strange".utf8)
        }
        // The last one is not empty and holds no record: it is cut, as any torn end.
        #expect(try appendNext(1, "one", expecting: 41) != nil)
        #expect(try FileSystem.text(of: folder.path + "/segments/42") == "strange")
        guard symlink("/etc/passwd", path(50)) == 0 else { throw SystemError.last("symlink", path(50)) }
        #expect(throws: SystemError.self) { try append(1, "one", to: store()) }
    }

    @Test(
        "a disk that is full takes nothing of a record, tells it, and loses none that was there", .enabled(if: canMount)
    )
    func full() throws {
        let disk = folder.path + "/disk"
        try FileSystem.createDirectories(disk, mode: 0o755)
        guard try run("/bin/mount", ["-t", "tmpfs", "-o", "size=256k", "none", disk]) == .exit(code: 0) else { return }
        defer { _ = try? run("/bin/umount", ["-l", disk]) }
        let results = SharedDescriptor(try OwnedDescriptor.open(disk, [.readOnly, .directory]))
        let store = SegmentStore(in: results, disk, mode: 0o644, owner: nil)
        var places: [SegmentPlace] = []
        var refusal: SystemError?
        while refusal == nil, places.count < 100 {
            do {
                places.append(try append(UInt64(places.count + 1), String(repeating: "x", count: 10_000), to: store))
            } catch let error as SystemError {
                refusal = error
            }
        }
        #expect(refusal?.code == ENOSPC && places.count > 10)
        let guarded = try GuardedDirectory(path: disk)
        for (index, place) in places.enumerated() {
            #expect(try guarded.packedOutput(ofTask: name(UInt64(index + 1)), attempt: 1, at: place) != nil)
        }
        let size = try FileSystem.status(of: disk + "/segments/00000001").sizeBytes
        #expect(size == Int64(places.count * 10_064))
        // Less than what is left of a page fits still.
        #expect(try append(99, "x", to: store).recordOffset == size)
    }

    private static let canMount = Host.isRoot && FileSystem.isExecutable("/bin/mount")

    @Test("without descriptors to spare nothing is appended and nothing is lost")
    func noDescriptors() async throws {
        await #expect(processExitsWith: .success) {
            let here = try SegmentStoreTests()
            let place: SegmentPlace
            do { place = try here.append(1, "one", to: here.store()) }
            let store = here.store()
            let (output, error) = (try here.file(Array("two".utf8)), try here.file([]))
            let record = SegmentRecord(
                task: 2, attempt: 1, standardOutputBytes: 3, standardErrorBytes: 0, endedUnixMilliseconds: 0)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let most = limit.rlim_cur
            let lowest = try OwnedDescriptor.open("/dev/null", [.readOnly]).raw
            var refusals = 0
            for free in 0...4 {
                limit.rlim_cur = rlim_t(lowest) + rlim_t(free)
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                let appended = Result { try store.append(record, from: output, error).place }
                limit.rlim_cur = most
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                #expect(try here.read(1, at: place) == "one|")
                switch appended {
                case .failure(let error as SystemError):
                    #expect(error.code == EMFILE)
                    refusals += 1
                case .failure: #expect(Bool(false))
                case .success(let second):
                    #expect(second.segment == 1)
                    #expect(try here.read(2, at: second) == "two|")
                }
            }
            #expect(refusals >= 1)
        }
    }

    @Test("the checksum is CRC-32C, at every length")
    func checksums() throws {
        func checked(_ text: String) -> UInt32 { Array(text.utf8).withUnsafeBytes { checksum($0) } }
        #expect(checked("123456789") == 0xE306_9283)
        #expect(checked("") == 0)
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes { checksum($0) } == 0x8A91_36AA)
        for count in 1...40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            var bitwise = UInt32.max
            for byte in bytes {
                bitwise ^= UInt32(byte)
                for _ in 0..<8 {
                    let isOdd = bitwise & 1 == 1
                    bitwise >>= 1
                    if isOdd { bitwise ^= 0x82F6_3B78 }
                }
            }
            #expect(bytes.withUnsafeBytes { checksum($0) } == ~bitwise)
        }
    }
}
