// What tasks use of GPUs is asked of the driver's library. That may take seconds, hang while a device is reset, or crash; so a child of
// this daemon does it, which answers when it can, and the loop never waits for it. There is one only while tasks have GPUs of NVIDIA,
// and for a little while after, as its first answer may take long.

import LinuxSystem
import Logging
import TaskModel

final class DeviceWatch {
    private struct Child {
        let process: Int32
        var questions: SharedDescriptor
        /// Nil once there will be no more.
        var answers: SharedDescriptor?
        var text: [UInt8] = []
        var askedNanoseconds: Int64?
        var hasToldOfSilence = false
    }

    /// What a task has just begun has no GPU yet.
    private static let firstPauseNanoseconds: Int64 = 1_000_000_000
    private static let pauseNanoseconds: Int64 = 2_000_000_000
    /// Between an answer and the next question so many times as long passes as the answer took, but no more than that.
    private static let costShare: Int64 = 5
    private static let restNanosecondsMax: Int64 = 10_000_000_000
    private static let silenceNanoseconds: Int64 = 30_000_000_000
    /// How long the child is kept that nobody needs.
    private static let idleNanoseconds: Int64 = 30_000_000_000
    /// Until another is tried after one that failed; twice as long after each.
    private static let retrySeconds: ClosedRange<Int64> = 60...3600
    private static let answerBytesMax = 1 << 20

    private let programPath: String
    private let words: [String]
    private let log: Logger
    private var child: Child?
    /// Children that were killed and have not ended yet: one that hangs in the driver does not even do that.
    private var killed: Set<Int32> = []
    private var failureCount = 0
    private var notBeforeNanoseconds: Int64 = 0
    private(set) var dueNanoseconds: Int64?
    /// What the driver told last, while somebody needs it; nil while it tells nothing.
    private(set) var lastAnswer: [NvidiaUse]?
    /// Until when it is kept that nobody needs; nil while somebody does.
    private var idleUntilNanoseconds: Int64?
    /// Where the answers of a new child are to be read, until somebody has asked for it.
    private var newDescriptor: Int32?

    /// - Parameter library: where the driver's is, if not in its usual place.
    init(programPath: String, library: String?, log: Logger) {
        self.programPath = programPath
        words = ["--watch-gpus"] + (library.map { ["--nvidia-library", $0] } ?? [])
        self.log = log
    }

    /// Children that are no tasks' orphans.
    var processes: Set<Int32> { killed.union([child?.process].compactMap(\.self)) }

    /// A task with such a device begins, or goes on.
    func taskBegins(at now: Int64) {
        idleUntilNanoseconds = nil
        guard child?.askedNanoseconds == nil else { return }
        dueNanoseconds = min(dueNanoseconds ?? .max, now + Self.firstPauseNanoseconds)
    }

    /// The descriptor to wait for, once for each child.
    func takeNewDescriptor() -> Int32? { newDescriptor.take() }

    /// Asks, if it is time to.
    ///
    /// - Parameter isNeeded: whether a task has such a device.
    func askIfDue(at now: Int64, isNeeded: () -> Bool) {
        guard let due = dueNanoseconds, due <= now else { return }
        guard isNeeded() else { return idle(at: now) }
        dueNanoseconds = nil
        if child?.askedNanoseconds != nil { return tellOfSilence(at: now) }
        if child == nil, now < notBeforeNanoseconds || !killed.isEmpty {
            dueNanoseconds = max(notBeforeNanoseconds, now + Self.pauseNanoseconds)
            return
        }
        do throws(SystemError) {
            if child == nil { try start() }
            // Either way the next is an answer, or its end.
            child?.askedNanoseconds = now
            dueNanoseconds = now + Self.silenceNanoseconds
            try child?.questions.writeAll([UInt8(ascii: "\n")], subject: "a question to \(programPath) --watch-gpus")
        } catch  where error.code == ErrorCode.brokenPipe {
            return  // It has ended, and has said why.
        } catch {
            fail("\(error)", at: now)
        }
    }

    private func tellOfSilence(at now: Int64) {
        if child?.hasToldOfSilence == false {
            let seconds = AmountText.seconds(Double(Self.silenceNanoseconds) / 1e9)
            log.warning(
                "the driver of the GPUs has not answered for \(seconds): what tasks use of them is not told until it does"
            )
        }
        child?.hasToldOfSilence = true
        lastAnswer = nil
        dueNanoseconds = now + Self.silenceNanoseconds  // To let it go when no task needs it any more.
    }

    /// No task has such a device now. The next may come soon, and the first answer takes longest.
    private func idle(at now: Int64) {
        lastAnswer = nil
        let until = idleUntilNanoseconds ?? now + Self.idleNanoseconds
        guard let child, child.askedNanoseconds == nil, now < until else { return letGo() }
        (idleUntilNanoseconds, dueNanoseconds) = (until, until)
    }

    private func start() throws(SystemError) {
        let questions = try OwnedDescriptor.pipe()
        let answers = try OwnedDescriptor.pipe()
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let asking = SharedDescriptor(try .duplicate(of: questions.writing.raw))
        let listening = SharedDescriptor(try .duplicate(of: answers.reading.raw))
        let process = try ChildProcesses.start(
            programPath, words, descriptors: [questions.reading.raw, answers.writing.raw, null.raw])
        child = Child(process: process, questions: asking, answers: listening)
        newDescriptor = child?.answers?.raw
    }

    /// What the child has said, if that is all of an answer.
    func answer(at now: Int64) -> [NvidiaUse]? {
        guard let answers = child?.answers else { return nil }
        do throws(SystemError) {
            let bytes = try some(of: answers, bytesMax: 64 << 10)
            if bytes.isEmpty { child?.answers = nil }  // How it ended is told when it is reaped.
            child?.text += bytes
        } catch  where error.code == ErrorCode.again {
            return nil
        } catch {
            return fail("\(error)", at: now)
        }
        guard var asked = child else { return nil }
        if asked.text.count > Self.answerBytesMax { return fail("it says too much", at: now) }
        let last = "\(NvidiaUse.lastLine)\n".utf8
        guard asked.text.suffix(last.count).elementsEqual(last) else { return nil }
        if asked.hasToldOfSilence { log.notice("the driver of the GPUs answers again") }
        let uses = NvidiaUse.parse(String(decoding: asked.text, as: UTF8.self))
        let askedNanoseconds = asked.askedNanoseconds ?? now
        // The first answer takes long where a driver is woken for it, and any on a busy machine.
        let rest = min(Self.restNanosecondsMax, (now - askedNanoseconds) * Self.costShare)
        dueNanoseconds = max(askedNanoseconds + Self.pauseNanoseconds, now + rest)
        (asked.text, asked.askedNanoseconds, asked.hasToldOfSilence) = ([], nil, false)
        (child, failureCount, lastAnswer) = (asked, 0, uses)
        return uses
    }

    /// What it said before its end.
    private func reason(_ ending: ProcessEnding? = nil) -> String {
        let said = String(decoding: child?.text ?? [], as: UTF8.self)
        let line = said.split(separator: "\n").last { $0.hasPrefix(DeviceAnswers.failurePrefix) }
        return line.map { TerminalText.escaped(String($0.dropFirst(DeviceAnswers.failurePrefix.count))) }
            ?? "the program that asks the driver for it has ended" + (ending.map { " (\($0))" } ?? "")
    }

    /// The child cannot be waited for. It is let go, and another is tried later.
    func cannotWait(_ error: SystemError, at now: Int64) { fail("\(error)", at: now) }

    @discardableResult
    private func fail(_ reason: String, at now: Int64) -> [NvidiaUse]? {
        if failureCount == 0 { log.info("what tasks use of GPUs is not told of: \(reason)") }
        let seconds = min(Self.retrySeconds.upperBound, Self.retrySeconds.lowerBound << Int64(min(failureCount, 10)))
        failureCount += 1
        letGo()
        notBeforeNanoseconds = now + seconds * 1_000_000_000
        dueNanoseconds = notBeforeNanoseconds
        return nil
    }

    /// Ends the child, wherever it is.
    func letGo() {
        (dueNanoseconds, idleUntilNanoseconds, newDescriptor, lastAnswer) = (nil, nil, nil, nil)
        guard let process = child?.process else { return }
        child = nil
        killed.insert(process)
        ChildProcesses.kill(process: process)
    }

    /// Whether it was such a child that was reaped.
    func hasEnded(_ ended: EndedChild, at now: Int64) -> Bool {
        if killed.remove(ended.process) != nil { return true }
        guard let child, child.process == ended.process else { return false }
        // Its last words, if they can be had; else how it ended is what is told.
        self.child?.text += child.answers.flatMap { try? some(of: $0, bytesMax: 4096) } ?? []
        let reason = reason(ended.ending)
        self.child = nil  // Its number is not its own any more.
        fail(reason, at: now)
        return true
    }
}

/// What can be read now; empty at the end.
private func some(of pipe: SharedDescriptor, bytesMax: Int) throws(SystemError) -> [UInt8] {
    try withUnsafeTemporaryAllocation(byteCount: bytesMax, alignment: 1) { buffer throws(SystemError) in
        Array(buffer[..<(try pipe.readNext(into: buffer, subject: "a pipe of those who ask the driver of GPUs"))])
    }
}

// MARK: - The child

/// What a child does that answers.
enum DeviceAnswers {
    static let failurePrefix = "failure "

    /// An answer for each byte that is read, until there are no more; the exit status.
    static func serve(_ arguments: Arguments) -> Int32 {
        do throws(SystemError) {
            // One that hangs does not see the end of its standard input.
            _ = try Host.followParent(nil, signal: .terminate)
        } catch {
            standardOutput.write("\(failurePrefix)\(error)\n")
            return 1
        }
        Host.ignoreBrokenPipes()
        do throws(NvidiaDevices.Failure) {
            let observer = try NvidiaObserver(library: arguments.nvidiaLibrary ?? NvidiaDevices.usualLibrary)
            let input = SharedDescriptor(OwnedDescriptor(adopting: 0))
            while isAsked(input) {
                let text = NvidiaUse.text(try observer.look())
                // Nobody is there any more who would read it, or why that is so.
                guard (try? standardOutput.writeAll(text)) != nil else { return 0 }
            }
            return 0
        } catch {
            standardOutput.write("\(failurePrefix)\(error)\n")
            return 1
        }
    }

    /// Waits for a question; false when none will come.
    private static func isAsked(_ input: SharedDescriptor) -> Bool {
        while true {
            do throws(SystemError) {
                let raw = input.raw
                guard try DescriptorWait.until(raw, readable: true, writable: false, atMostMilliseconds: nil) else {
                    continue
                }
                return try !some(of: input, bytesMax: 1).isEmpty
            } catch  where error.code == ErrorCode.again {
                continue
            } catch {
                return false
            }
        }
    }
}
