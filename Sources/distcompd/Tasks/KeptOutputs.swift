// The outputs of tasks from their begin to the answer to their report, and where they stay: what runs for more than a moment gets names, what
// has ended is packed.

import LinuxSystem
import NodeSupervisor
import TaskModel

extension TaskRunner {
    /// So many get their names at a time: each takes the file system a moment.
    private static let namedAtOnceMax = 16
    /// How seldom it is looked for those that are to have names.
    private static let namingPauseNanoseconds = OutputDirectory.namedAfterNanoseconds / 2

    func keep(_ output: TaskOutput, of number: TaskNumber) {
        kept[number] = output
        guard !output.isNamed else { return }
        unnamed.insert(number)
        if namingDueNanoseconds == nil {
            namingDueNanoseconds = SystemClock.bootNanoseconds() + OutputDirectory.namedAfterNanoseconds
        }
    }

    /// Gives names to the files of what has been running for more than a moment. To be called in every round.
    func nameOutputsIfDue() {
        guard let due = namingDueNanoseconds else { return }
        let now = SystemClock.bootNanoseconds()
        guard due <= now else { return }
        let old = unnamed.filter { kept[$0]?.isOlder(than: OutputDirectory.namedAfterNanoseconds, at: now) ?? true }
        nameOutputs(of: old.prefix(Self.namedAtOnceMax))
        namingDueNanoseconds =
            old.count > Self.namedAtOnceMax ? now : unnamed.isEmpty ? nil : now + Self.namingPauseNanoseconds
    }

    func nameOutputs(of numbers: some Sequence<TaskNumber>) {
        for number in numbers {
            unnamed.remove(number)
            guard let output = kept[number] else { continue }
            do throws(SystemError) {
                try outputs.name(output)
            } catch {
                tell(error, "what a task writes cannot be followed, and is lost if this daemon is killed")
            }
        }
    }

    /// The main process of a task has ended: what it wrote goes where it stays, if nothing writes to it any more.
    func keep(_ output: TaskOutput, isWhole: Bool, endedUnixMilliseconds: Int64) {
        if isWhole {
            if let error = outputs.store(output, endedUnixMilliseconds: endedUnixMilliseconds) {
                let what = output.isNamed ? "it stays in files of its own" : "it is known only by what is reported"
                tell(error, "the output of a task could not be packed; \(what)")
            } else {
                hasToldOfStore = false
            }
        } else {
            // It may be reported before nothing is left of it.
            do throws(SystemError) {
                try outputs.name(output)
            } catch {
                tell(error, "what a task wrote is known only by what is reported")
            }
        }
    }

    private func tell(_ error: SystemError, _ consequence: String) {
        if !hasToldOfStore { log.warning("\(error): \(consequence)") }
        hasToldOfStore = true
    }

    /// A report was made: where the output stands is not to change any more.
    func noteReport(_ report: NodeSupervisor.Report) {
        guard let output = kept[report.number] else { return }
        unnamed.remove(report.number)
        var (hasBegun, hasFailed) = (true, false)
        if case .ended(let outcome) = report.result {
            hasFailed = !outcome.succeeded
            if case .launch = outcome.cause { hasBegun = false }
        }
        if !hasBegun || output.place == nil && !output.isNamed { outputs.discard(output) }
        output.isReported = true
        guard hasFailed, hasBegun else { return }
        do throws(SystemError) {
            try outputs.noteFailure(output)
        } catch {
            tell(error, "what a failed attempt wrote is not found again once another has followed")
        }
    }

    /// To be called now and then.
    func removeOldOutputs() {
        outputs.removeOld(settings.outputLimits, inUse: Set(kept.values.map(\.name)))
    }

    /// Where the output of a task stands, if that is in no files.
    func packedOutput(of number: TaskNumber) -> PackedOutput? {
        kept[number]?.place.map { PackedOutput($0, outputs.path) }
    }
}

extension PackedOutput {
    fileprivate init(_ place: SegmentPlace, _ directory: String) {
        self.init(
            directory: directory, segment: place.segment, offset: place.offset, stdoutBytes: place.standardOutputBytes,
            stderrBytes: place.standardErrorBytes)
    }
}

extension SegmentPlace {
    /// nil for what no segment can hold.
    init?(_ packed: PackedOutput) {
        self.init(
            checking: packed.segment, offset: packed.offset, standardOutputBytes: packed.stdoutBytes,
            standardErrorBytes: packed.stderrBytes)
    }
}
