// What `distcomp top` knows and how keys change what it shows. Pure: snapshots and keys in, no terminal and no Redis.

import TaskModel
import TaskQueue

/// A task that runs, and since when it has been seen running.
struct RunningTask {
    let line: String
    let task: TaskLine?
    let node: String
    /// Since when, by the clock of `TopModel.nowSeconds`; it may have run before.
    let seenSinceSeconds: Double
}

/// The queue at one moment.
struct TopSnapshot {
    var progress = Progress()
    var fleet = Fleet()
    var running: [RunningTask] = []
    /// The newest first.
    var endings: [TaskResult] = []
}

/// One press of a key.
enum TopKey: Equatable {
    case character(Character)
    case enter, escape, backspace, up, down

    /// The keys in what a terminal sent; unknown sequences are dropped.
    static func parse(_ bytes: [UInt8]) -> [TopKey] {
        var keys: [TopKey] = []
        var rest = String(decoding: bytes, as: UTF8.self)[...]
        while let character = rest.popFirst() {
            switch character {
            case "\u{1b}":
                guard rest.first == "[" || rest.first == "O" else {
                    keys.append(.escape)
                    continue
                }
                rest = rest.dropFirst()
                // Parameters, then the letter that names the key.
                let final = rest.drop { $0.isNumber || $0 == ";" }
                if final.first == "A" { keys.append(.up) }
                if final.first == "B" { keys.append(.down) }
                rest = final.dropFirst()
            case "\r", "\n", "\r\n": keys.append(.enter)
            case "\u{7f}", "\u{8}": keys.append(.backspace)
            default: if character.unicodeScalars.allSatisfy({ $0.value >= 0x20 }) { keys.append(.character(character)) }
            }
        }
        return keys
    }
}

struct TopModel {
    enum Sorting: String, CaseIterable { case time, node, memory, cores, task }

    var snapshot = TopSnapshot()
    var nowSeconds = 0.0
    private(set) var sorting = Sorting.time
    private(set) var filter = ""
    private(set) var isTyping = false
    private(set) var offset = 0

    enum Answer { case goOn, quit }

    mutating func handle(_ key: TopKey) -> Answer {
        if isTyping { return type(key) }
        switch key {
        case .character("q"), .character("Q"): return .quit
        case .character("s"):
            let all = Sorting.allCases
            sorting = all[((all.firstIndex(of: sorting) ?? 0) + 1) % all.count]
        case .character("/"): isTyping = true
        case .escape: filter = ""
        case .up: offset = max(0, offset - 1)
        case .down: offset = min(max(0, running.count - 1), offset + 1)
        case .character, .enter, .backspace: break
        }
        return .goOn
    }

    private mutating func type(_ key: TopKey) -> Answer {
        offset = 0
        switch key {
        case .character(let character): filter.append(character)
        case .backspace: _ = filter.popLast()
        case .enter: isTyping = false
        case .escape:
            isTyping = false
            filter = ""
        case .up, .down: break
        }
        return .goOn
    }

    /// The running tasks that are shown: filtered and sorted.
    var running: [RunningTask] {
        let wanted = snapshot.running.filter { matches($0.line) || matches($0.node) }
        return wanted.sorted { left, right in
            switch sorting {
            case .time: (left.seenSinceSeconds, left.line) < (right.seenSinceSeconds, right.line)
            case .node: (left.node, left.line) < (right.node, right.line)
            case .memory: (right.task?.memoryBytes ?? 0, left.line) < (left.task?.memoryBytes ?? 0, right.line)
            case .cores: (right.task?.millicores ?? 0, left.line) < (left.task?.millicores ?? 0, right.line)
            case .task: left.line < right.line
            }
        }
    }

    var endings: [TaskResult] { snapshot.endings.filter { matches($0.line) || matches($0.node) } }

    private func matches(_ text: String) -> Bool {
        filter.isEmpty || text.lowercased().contains(filter.lowercased())
    }
}
