// The tasks of a run, and the trace each of them leaves on disk: the checker believes these files and Redis, and nothing else.

import Glibc
import LinuxSystem

/// What a task does.
enum TaskKind {
    /// Writes its trace and ends.
    case quick
    /// Sleeps so many milliseconds.
    case short(Int)
    /// Sleeps so many times a fifth of a second, and leaves a trace each time: it shows how long a forsaken task lives.
    case long(Int)
    /// Fails, wherever it is tried.
    case failing

    init(number: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed, stream: 1 << 48 + UInt64(number))
        switch Int.random(in: 0..<100, using: &random) {
        case ..<78: self = .quick
        case ..<86: self = .short(Int.random(in: 20..<400, using: &random))
        case ..<98: self = .long(Int.random(in: 3..<25, using: &random))
        default: self = .failing
        }
    }

    var words: String {
        switch self {
        case .quick: "quick"
        case .short(let milliseconds): "short 0.\(String(1000 + milliseconds).dropFirst())"
        case .long(let ticks): "long \(ticks)"
        case .failing: "failing"
        }
    }

    var fails: Bool { if case .failing = self { true } else { false } }
}

/// The tasks of one run.
struct TaskSet {
    let count: Int
    let seed: UInt64
    let place: String

    /// How many tasks share a file for their traces.
    static let tasksPerFile = 100

    private var script: String { place + "/task" }
    var traces: String { place + "/trace" }

    /// Writes the program of all tasks. A task names itself by its number; /proc/uptime is the clock it shares with us, and a
    /// line appended in one write stands in the order in which things happened.
    func prepare() throws {
        let text = """
            number=$1
            trace=\(traces)/$((number / \(Self.tasksPerFile)))
            node=${DISTCOMP_OUTPUT_DIR%/*}
            node=${node##*/result-}
            say() {
              read -r now rest </proc/uptime
              echo "$number $$ $node $now $1" >>"$trace"
            }
            say start
            case $2 in
              short) sleep "$3" ;;
              long) ticks=0; while [ "$ticks" -lt "$3" ]; do sleep 0.2; say tick; ticks=$((ticks + 1)); done ;;
              failing) say end; exit 1 ;;
            esac
            # A full disk is a failure, and says so.
            echo "$number $$" || exit 9
            say end

            """
        try FileSystem.replace(script, with: Array(text.utf8), mode: 0o644)
        try FileSystem.createDirectories(traces, mode: 0o777)
        // Tasks of root's daemon run as nobody.
        chmod(traces, 0o777)
        chmod(place, 0o755)
    }

    func kind(_ number: Int) -> TaskKind { TaskKind(number: number, seed: seed) }

    /// The line of a task, which is also its name in the queue.
    func line(_ number: Int) -> String { "shell:\(number % 3):0:0:60:sh \(script) \(number) \(kind(number).words)" }

    /// The number of the task that `text`, a line or a log line with one in it, names.
    func number(in text: some StringProtocol) -> Int? {
        guard let range = text.firstRange(of: script + " ") else { return nil }
        return Int(text[range.upperBound...].prefix { $0.isNumber })
    }

    /// The files to submit, one after the other.
    func writeFiles(linesPerFile: Int) throws -> [String] {
        try stride(from: 0, to: count, by: linesPerFile).map { first in
            let lines = (first..<min(count, first + linesPerFile)).map { line($0) }
            let path = "\(place)/tasks-\(first)"
            try FileSystem.replace(path, with: Array((lines.joined(separator: "\n") + "\n").utf8), mode: 0o644)
            return path
        }
    }
}
