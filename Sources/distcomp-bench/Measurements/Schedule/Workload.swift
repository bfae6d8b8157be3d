// Work that many people have: read from a trace in the Standard Workload Format of the Parallel Workloads Archive, or made up, the same each
// time.

import LinuxSystem
import TaskModel

/// One task of a workload.
struct WorkloadTask: Sendable {
    let user: Int
    let submittedAtSeconds: Double
    let runSeconds: Double
    /// What it asks for.
    let room: Room
    /// Which of its user's sweeps it is of.
    let sweep: Int
    /// What was asked for.
    let timeoutSeconds: Double
}

enum Workload {
    /// The most lines that are read of a trace.
    static let tasksMax = 1_000_000

    /// Reads a trace: a line a task, of numbers with blanks between, of which the second is when it was submitted, the fourth how long it ran,
    /// the fifth and eighth on how many processors, the ninth for how long it was asked for, the twelfth whose it is; a line that begins with `;` is a comment
    /// (https://www.cs.huji.ac.il/labs/parallel/workload/swf.html). What did not run is left out. What one user submits within a minute, on as
    /// many processors, is a sweep.
    ///
    /// - Parameters:
    ///   - count: how many tasks are wanted at most.
    ///   - coresMax: what a node has: a task of more is taken for one of so many.
    static func read(_ path: String, count: Int, coresMax: Int) throws -> [WorkloadTask] {
        var tasks: [WorkloadTask] = []
        var last: [Int: (sweep: Int, cores: Int, at: Double)] = [:]
        for line in try FileSystem.text(of: path).split(separator: "\n") where !line.hasPrefix(";") {
            let fields = line.split { $0 == " " || $0 == "\t" }.map { Double($0) }
            guard fields.count >= 12, let at = fields[1], let run = fields[3], let user = fields[11],
                let wanted = fields[4].flatMap({ $0 > 0 ? $0 : nil }) ?? fields[7], at >= 0, at < 1e10, run > 0,
                run < 1e8, wanted > 0, user.magnitude < 1e9
            else { continue }
            let cores = Int(min(max(1, wanted), Double(coresMax)))
            let name = Int(user)
            let before = last[name]
            let goesOn = before.map { at - $0.at < 60 && $0.cores == cores } ?? false
            let sweep = goesOn ? before?.sweep ?? 0 : (before?.sweep ?? -1) + 1
            last[name] = (sweep, cores, at)
            tasks.append(
                WorkloadTask(
                    user: name, submittedAtSeconds: at, runSeconds: run, room: Room(cores: cores, gigabytes: 0),
                    sweep: sweep,
                    timeoutSeconds: max(run, (fields[8] ?? 0) > 0 ? fields[8] ?? 0 : 3600)))
            if tasks.count == min(count, tasksMax) { break }
        }
        guard !tasks.isEmpty else {
            throw BenchError(description: "\(path): no line of it is a task of the Standard Workload Format that ran")
        }
        return tasks.sorted { $0.submittedAtSeconds < $1.submittedAtSeconds }
    }

    /// Made up as such traces are found to be: few users have most of the work, they come in sweeps, the tasks of a sweep are alike, most are
    /// short and on few cores, and most of the time goes into few long ones.
    ///
    /// - Parameters:
    ///   - load: how much of the fleet's time it asks for, of 1.
    ///   - hasMemory: whether tasks ask for memory, from 1 GB to all of a node, most for little, whatever their cores.
    static func made(
        count: Int, users: Int, nodes: Int, coresMax: Int, load: Double, hasMemory: Bool, seed: UInt64
    ) -> [WorkloadTask] {
        var random = SplitMix(state: seed)
        // Of its own, so that all else is the same with and without memory.
        var memory = SplitMix(state: ~seed)
        let gigabytesMax = Room.ofNode(cores: coresMax).gigabytes
        var tasks: [WorkloadTask] = []
        var sweeps = 0
        while tasks.count < count {
            // The first user has twice the sweeps of the second, and so on, down to an eighth.
            let user = min(users - 1, Int(-random.logarithm() * Double(users) / 4))
            let size = min(count - tasks.count, 1 + Int(random.share() * random.share() * 400))
            let usual = min(20_000, 30 * random.skewed(3))
            let cores = min(coresMax, 1 << Int(random.share() * random.share() * 5))
            let gigabytes = hasMemory ? min(gigabytesMax, 1 << Int(memory.share() * memory.share() * 7)) : 0
            let begin = random.share()
            for number in 0..<size {
                tasks.append(
                    WorkloadTask(
                        user: user, submittedAtSeconds: begin + Double(number) * 1e-9,
                        runSeconds: max(1, usual * random.skewed(0.3)), room: Room(cores: cores, gigabytes: gigabytes),
                        sweep: sweeps, timeoutSeconds: 0))
            }
            sweeps += 1
        }
        let work = tasks.reduce(0) { $0 + $1.runSeconds * Double($1.room.cores) } / Double(nodes * coresMax)
        let memoryWork =
            tasks.reduce(0) { $0 + $1.runSeconds * Double($1.room.gigabytes) } / Double(nodes * gigabytesMax)
        let span = max(work, memoryWork) / load
        // Who submits a sweep gives each task of it twice the time that the longest takes.
        let longest = Dictionary(tasks.map { ($0.sweep, $0.runSeconds) }, uniquingKeysWith: max)
        return tasks.map { task in
            WorkloadTask(
                user: task.user, submittedAtSeconds: task.submittedAtSeconds * span, runSeconds: task.runSeconds,
                room: task.room, sweep: task.sweep, timeoutSeconds: 2 * (longest[task.sweep] ?? 0))
        }.sorted { $0.submittedAtSeconds < $1.submittedAtSeconds }
    }
}
