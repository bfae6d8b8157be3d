// A manager that loads its files while all this goes on. `distcomp submit` may be called again after a failure: what is there
// already is left alone.

import LinuxSystem

struct Submitter {
    private(set) var callCount = 0
    private let fleet: Fleet
    private let fileCount: Int
    private var files: ArraySlice<String>
    private var process: Int32?
    private var notBeforeNanoseconds: Int64 = 0

    init(_ fleet: Fleet, files: [String]) {
        self.fleet = fleet
        fileCount = files.count
        self.files = files[...]
    }

    var isDone: Bool { files.isEmpty }

    /// Takes the next step, if there is one to be taken now.
    ///
    /// - Parameter share: how much may be loaded by now, 1 being all.
    mutating func act(share: Double) throws {
        if let process {
            guard let ending = try ChildProcesses.endingIfEnded(process) else { return }
            self.process = nil
            switch ending {
            case .exit(code: 0): files.removeFirst()
            case .exit(code: 3): notBeforeNanoseconds = SystemClock.bootNanoseconds() + 200_000_000
            default:
                throw ChaosError(description: "distcomp submit ended with \(ending), see \(fleet.place)/submit.log")
            }
        }
        guard let file = files.first, Double(fileCount - files.count) <= share * Double(fileCount - 1),
            SystemClock.bootNanoseconds() >= notBeforeNanoseconds
        else { return }
        process = try fleet.startSubmitting(file)
        callCount += 1
    }

    /// Ends a call that is under way.
    func end() {
        guard let process else { return }
        ChildProcesses.kill(process: process)
        _ = try? ChildProcesses.wait(for: process)
    }
}
