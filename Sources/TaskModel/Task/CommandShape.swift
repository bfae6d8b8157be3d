// What many commands have in common: `./cachesim lru 1G` and `./cachesim fifo 4G` are both `./cachesim * *`. Summaries are made
// by that, since nobody names the commands of a sweep.

/// Commands of one type, with the same program and as many words, and which of their words they share.
public struct CommandShape: Sendable {
    /// What commands of one shape have in common.
    public struct Key: Hashable, Sendable {
        let type: TaskType
        let program: String
        let wordCount: Int
    }

    private static let wordsMax = 64
    private static let wordBytesMax = 256

    public let key: Key
    /// nil where the word varies.
    private var words: [String?]

    /// The shape of one command: itself.
    public init(_ line: TaskLine) {
        // As they are written, quotes included. What cannot be split is known by its words too.
        let all = WordSplitter.words(of: line.command).words
        key = Key(type: line.type, program: all.first.map { String($0.written) } ?? "", wordCount: all.count)
        // A program given as text has thousands of words; its first are enough to know it by.
        words = all.prefix(Self.wordsMax).map { String(String($0.written).prefix(Self.wordBytesMax)) }
    }

    /// Takes in another command with the same key.
    public mutating func add(_ other: CommandShape) {
        for index in words.indices where index < other.words.count && words[index] != other.words[index] {
            words[index] = nil
        }
    }

    /// The command with `*` for each word that varies.
    public var text: String {
        let text = words.map { $0 ?? "*" }.joined(separator: " ")
        let kind = key.type == .shell ? "" : "\(key.type.rawValue): "
        return kind + text + (key.wordCount > words.count ? " …" : "")
    }
}
