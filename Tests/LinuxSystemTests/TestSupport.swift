// What the tests of this room share: a folder that goes away, a wait for a condition, and a launch of one command.

import Glibc
import Testing

@testable import LinuxSystem

/// What a test needed and did not get; its text says what.
struct TestObstacle: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A folder every user may look into, removed with all that is in it when its last holder lets go.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/distcomp-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp", "/tmp") }
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard chmod(path, 0o755) == 0 else { throw SystemError.last("chmod", path) }
    }

    deinit { _ = try? run("/bin/rm", ["-rf", path]) }

    /// Creates a file below the folder and returns its path.
    @discardableResult
    func file(_ name: String, _ bytes: some Sequence<UInt8> = [], mode: UInt32 = 0o644) throws -> String {
        let file = try OwnedDescriptor.open(path + "/" + name, [.writeOnly, .create, .truncate], mode: mode)
        try file.writeAll(Array(bytes), subject: name)
        guard fchmod(file.raw, mode) == 0 else { throw SystemError.last("chmod", name) }
        return path + "/" + name
    }

    /// Creates an executable file below the folder and returns its path.
    func executable(_ name: String, _ text: String) throws -> String { try file(name, text.utf8, mode: 0o755) }
}

/// Runs a program to its end, with nothing to read and nowhere to write.
@discardableResult
func run(_ path: String, _ arguments: [String]) throws -> ProcessEnding {
    let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
    return try endOf(try ChildProcesses.start(path, arguments, descriptors: [null.raw, null.raw, null.raw]))
}

/// Waits until `condition` holds; throws after `seconds`.
func waitUntil(
    _ what: String, seconds: Double = 300, _ condition: () throws -> Bool
) throws {
    let deadline = SystemClock.bootNanoseconds() + Int64(seconds * 1e9)
    while try !condition() {
        guard SystemClock.bootNanoseconds() < deadline else { throw TestObstacle("\(what): not within \(seconds) s") }
        pause(milliseconds: 2)
    }
}

/// The ending of a child that must end by itself; one that does not is killed, and the test fails.
func endOf(_ process: Int32, seconds: Double = 300) throws -> ProcessEnding {
    var ending: ProcessEnding?
    do {
        try waitUntil("the end of process \(process)", seconds: seconds) {
            ending = try ChildProcesses.endingIfEnded(process)
            return ending != nil
        }
    } catch let error as TestObstacle {
        ChildProcesses.kill(process: process)
        _ = try ChildProcesses.wait(for: process)
        throw error
    }
    return try #require(ending)
}

/// distcomp-launch, built by the Makefile beside the other products, or where DISTCOMP_LAUNCH says.
let launcherPath: String = {
    if let path = Host.environment("DISTCOMP_LAUNCH") { return path }
    var folder = Substring(#filePath)
    while let slash = folder.lastIndex(of: "/") {
        folder = folder[..<slash]
        for products in ["debug", "release", "launch"] {
            let path = "\(folder)/.build/\(products)/distcomp-launch"
            if FileSystem.isExecutable(path) { return path }
        }
    }
    return "/usr/lib/distcomp/distcomp-launch"
}()

/// Whether launches can be tested at all.
let hasLauncher = FileSystem.isExecutable(launcherPath)

/// Whether the launcher can change users, and that user may be in our working directory and reach the launcher.
let canLaunchAsNobody = hasLauncher && Host.isRoot && canOthersEnter(FileSystem.workingDirectory) && nobody != nil

let nobody = Account(named: "nobody")

private func canOthersEnter(_ path: String) -> Bool {
    var folder = path[...]
    while true {
        guard let status = try? FileSystem.status(of: folder.isEmpty ? "/" : String(folder)) else { return false }
        if status.permissions & 0o1 == 0 { return false }
        guard let slash = folder.lastIndex(of: "/") else { return true }
        folder = folder[..<slash]
    }
}

extension ProcessLauncher {
    /// The launches that failed since last asked.
    func failures() -> [LauncherFailure] {
        news().compactMap { if case .failed(let failure) = $0 { failure } else { nil } }
    }
}

/// What came of one launch.
struct LaunchResult {
    let process: Int32
    let ending: ProcessEnding
    let failure: LauncherFailure?
    let output: [UInt8]
    let errorOutput: String

    var text: String { String(decoding: output, as: UTF8.self) }
    var lines: [Substring] { text.split(separator: "\n") }

    /// The words after `name:` in a text such as /proc/self/status.
    func words(after name: String) -> [String]? {
        lines.first { $0.hasPrefix(name + ":") }
            .map { $0.dropFirst(name.count + 1).split { $0 == " " || $0 == "\t" }.map { String($0) } }
    }
}

/// A launcher with its settings, and files for the output of what it starts.
final class LaunchBench {
    static let standardEnvironment = ["PATH=/usr/local/bin:/usr/bin:/bin"]

    let launcher: ProcessLauncher
    let folder: TemporaryFolder
    private let output: OwnedDescriptor
    private let errorOutput: OwnedDescriptor
    /// Launchers that stay, to be waited for at the end: a child that has ended and is not waited for keeps the monitor of exit tests from
    /// seeing any other.
    private var stayed: [Int32] = []
    /// Told before the process that they are about was waited for.
    private var keptFailures: [LauncherFailure] = []

    init(
        account: Account? = nil, umask: UInt32 = 0o022, fileSizeBytesMax: UInt64? = nil, descriptorsMax: UInt64 = 1024,
        nice: Int32 = 0, resetsOomScore: Bool = false
    ) throws {
        launcher = try ProcessLauncher(
            path: launcherPath,
            settings: LaunchSettings(
                account: account, umask: umask, fileSizeBytesMax: fileSizeBytesMax, descriptorsMax: descriptorsMax,
                nice: nice,
                resetsOomScore: resetsOomScore))
        folder = try TemporaryFolder()
        output = try OwnedDescriptor.open(folder.path + "/stdout", [.readWrite, .create, .append], mode: 0o600)
        errorOutput = try OwnedDescriptor.open(folder.path + "/stderr", [.readWrite, .create, .append], mode: 0o600)
    }

    /// Starts `words`; the caller reaps it.
    func start(
        _ words: [String], environment: [String] = standardEnvironment, joining groups: [SharedDescriptor] = [],
        place: LaunchPlace? = nil
    ) throws -> Int32 {
        try launcher.launch(
            words.map { Array($0.utf8) }, environment: environment.map { Array($0.utf8) }, standardOutput: output.raw,
            standardError: errorOutput.raw, joining: groups, place: place)
    }

    /// Has a launch that waits run `words`; the caller reaps it.
    func begin(
        _ words: [String], environment: [String] = standardEnvironment, place: LaunchPlace? = nil,
        on standby: WaitingLaunch
    ) throws {
        let order = LaunchOrder(
            words.map { Array($0.utf8) }, environment: environment.map { Array($0.utf8) }, place: place)
        try standby.launch.begin(
            try #require(order), standardOutput: output.raw, standardError: errorOutput.raw)
    }

    deinit {
        for process in stayed where ChildProcesses.isUnreaped(process) {
            ChildProcesses.kill(process: process)
            _ = try? ChildProcesses.wait(for: process)
        }
    }

    /// Starts a launcher that stays.
    func stay() throws -> StayingLauncher {
        let staying = try launcher.stay()
        stayed.append(staying.process)
        return staying
    }

    /// Tells a launcher that stays of `words`.
    func tell(
        _ words: [String], environment: [String] = standardEnvironment, place: LaunchPlace? = nil,
        processors: [Int] = [], joining groups: [SharedDescriptor] = [], number: UInt32, on staying: StayingLauncher,
        mayWait: Bool = false
    ) throws {
        let order = LaunchOrder(
            words.map { Array($0.utf8) }, environment: environment.map { Array($0.utf8) }, place: place,
            processors: processors)
        try staying.begin(
            try #require(order), number: number, standardOutput: output.raw, standardError: errorOutput.raw,
            joining: groups, bornIn: nil, mayWait: mayWait)
    }

    /// A launch that waits for its task, and its process, which the caller reaps.
    struct WaitingLaunch {
        let launch: StandbyLaunch
        let process: Int32
    }

    /// Has a launcher begin a launch that waits.
    func standBy(joining groups: [SharedDescriptor] = []) throws -> WaitingLaunch {
        let launch = try stay().standBy(number: 1, joining: groups, bornIn: nil)
        return WaitingLaunch(launch: launch, process: try processBegun(number: 1))
    }

    /// Has a launcher that stays begin `words`, and waits until it has a process; the caller reaps that.
    func begin(
        _ words: [String], environment: [String] = standardEnvironment, place: LaunchPlace? = nil,
        processors: [Int] = [], joining groups: [SharedDescriptor] = [], number: UInt32 = 7,
        on staying: StayingLauncher,
        mayWait: Bool = false
    ) throws -> Int32 {
        try tell(
            words, environment: environment, place: place, processors: processors, joining: groups, number: number,
            on: staying, mayWait: mayWait)
        return try processBegun(number: number)
    }

    func processBegun(number: UInt32) throws -> Int32 {
        while true {
            _ = try DescriptorWait.until(
                launcher.statusPipe.reading, readable: true, writable: false, atMostMilliseconds: nil)
            var begun: Int32?
            for news in launcher.news() {
                switch news {
                case .begun(let process, let order) where order == number: begun = process
                case .begun, .copied: break
                case .failed(let failure): keptFailures.append(failure)
                case .notBegun(_, let step, let code):
                    throw SystemError(call: step?.callName ?? "", subject: "a launcher that stays", code: code)
                }
            }
            if let begun { return begun }
        }
    }

    /// Starts `words` and waits for the end.
    func run(
        _ words: [String], environment: [String] = standardEnvironment, joining groups: [SharedDescriptor] = []
    ) throws -> LaunchResult {
        try finish(try start(words, environment: environment, joining: groups))
    }

    /// Waits for the end of a launch, and takes what it wrote.
    func finish(_ process: Int32) throws -> LaunchResult {
        let ending = try endOf(process)
        let failure = (keptFailures + launcher.failures()).first { $0.process == process }
        let result = LaunchResult(
            process: process, ending: ending, failure: failure, output: try written(output),
            errorOutput: String(decoding: try written(errorOutput), as: UTF8.self))
        guard ftruncate(output.raw, 0) == 0, ftruncate(errorOutput.raw, 0) == 0 else {
            throw SystemError.last("ftruncate", "")
        }
        return result
    }

    private func written(_ file: borrowing OwnedDescriptor) throws -> [UInt8] {
        try file.read(at: 0, count: Int(file.sizeBytes ?? 0), subject: "output of a launch")
    }
}

/// Starts distcomp-launch with options of the test's own choosing and waits for its end; the failure it told of, if any.
func launchDirectly(
    _ options: [String], environment: [String] = LaunchBench.standardEnvironment, groupDescriptors: [Int32] = [],
    through shell: String? = nil, inNewSession: Bool = false
) throws -> LaunchResult {
    let pipe = try OwnedDescriptor.pipe()
    let folder = try TemporaryFolder()
    let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
    let output = try OwnedDescriptor.open(folder.path + "/stdout", [.readWrite, .create, .append], mode: 0o600)
    let errorOutput = try OwnedDescriptor.open(folder.path + "/stderr", [.readWrite, .create, .append], mode: 0o600)
    let shellWords = shell.map { ["/bin/sh", "-c", $0 + "; exec \"$@\"", "sh"] } ?? []
    let words = shellWords + [launcherPath] + options
    let process = try spawn(
        words[0], words.map { Array($0.utf8) }, environment: environment.map { Array($0.utf8) },
        handing: [null.raw, output.raw, errorOutput.raw, pipe.writing.raw] + groupDescriptors,
        inNewSession: inNewSession)
    let ending = try endOf(process)
    return LaunchResult(
        process: process, ending: ending, failure: failure(in: pipe.reading),
        output: try output.read(at: 0, count: Int(output.sizeBytes ?? 0), subject: "stdout"),
        errorOutput: String(
            decoding: try errorOutput.read(at: 0, count: Int(errorOutput.sizeBytes ?? 0), subject: "stderr"),
            as: UTF8.self))
}

private func failure(in pipe: borrowing OwnedDescriptor) -> LauncherFailure? {
    var record: (Int32, Int32, Int32) = (0, 0, 0)
    guard read(pipe.raw, &record, 12) == 12 else { return nil }
    return LauncherFailure(process: record.0, step: LaunchStep(rawValue: record.1), code: record.2)
}
