// What earlier attempts at a task wrote, beside what its last one does. A task that fails twice fails in two ways, and the first is
// often the one that tells. The last attempt has the names that there always were, `stdout` and `stderr`; those before it have its
// number behind them, `stdout.2`, and a small file says which numbers there are.
//
// Most tasks are tried once: their folder has no such file, and they pay nothing for this.

/// The attempts of which a task's folder holds the output, the last one first.
public struct KeptAttempts: Equatable, Sendable {
    /// How many are kept, the last one among them.
    public static let countMax = 3
    /// The file in a task's folder that tells them. The task owns the folder, so what it says is believed of that task alone.
    static let fileName = ".attempts"
    static let fileBytesMax = 64

    public let numbers: [Int]

    /// Of a folder without that file.
    static let first = KeptAttempts(only: 1)

    init(only attempt: Int) { numbers = [attempt] }

    private init(numbers: [Int]) { self.numbers = numbers }

    /// Reads back ``text``; nil for what is none.
    init?(text: [UInt8]) {
        let words = String(decoding: text.prefix(Self.fileBytesMax), as: UTF8.self).split { $0 == " " || $0 == "\n" }
        let numbers = words.compactMap { Int($0) }
        guard numbers.count == words.count, (1...Self.countMax).contains(numbers.count), numbers.allSatisfy({ $0 > 0 }),
            zip(numbers, numbers.dropFirst()).allSatisfy({ $0 > $1 })
        else { return nil }
        self.numbers = numbers
    }

    /// What a folder has when another attempt begins in it. Attempts are counted anew when a task is submitted or retried by hand, so
    /// numbers that are not below this one are of another count, and go.
    func followed(by attempt: Int) -> KeptAttempts {
        KeptAttempts(numbers: [attempt] + numbers.filter { $0 < attempt }.prefix(Self.countMax - 1))
    }

    var text: String { numbers.map { "\($0)" }.joined(separator: " ") + "\n" }

    /// The file that holds a stream of an attempt; nil where it is not kept.
    public func fileName(of stream: String, attempt: Int) -> String? {
        guard numbers.contains(attempt) else { return nil }
        return attempt == numbers[0] ? stream : Self.earlierName(of: stream, attempt)
    }

    static func earlierName(of stream: String, _ attempt: Int) -> String { "\(stream).\(attempt)" }
}

extension GuardedDirectory {
    /// Which attempts this folder of a task holds the output of, as far as it says so; nil where it says nothing, or what no node wrote:
    /// of the first alone, or of whichever was the last before nodes kept more.
    ///
    /// - Throws: what tells of the machine. That it could not be read is not that it says nothing.
    public func keptAttempts() throws(SystemError) -> KeptAttempts? {
        do throws(SystemError) {
            return KeptAttempts(
                text: try contents(of: KeptAttempts.fileName, bytesMax: KeptAttempts.fileBytesMax))
        } catch {
            if error.isOfTheMachine { throw error }
            return nil
        }
    }

    /// Opens what an attempt wrote to a stream; nil where that is not kept.
    public func openOutput(_ stream: String, ofAttempt attempt: Int) throws(SystemError) -> OwnedDescriptor? {
        guard let name = (try keptAttempts() ?? .first).fileName(of: stream, attempt: attempt) else { return nil }
        return try open(name, [.readOnly])
    }
}
