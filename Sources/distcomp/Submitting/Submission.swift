// Task files on their way into the queue: read in pieces, sent in batches, so that ten million lines need no more memory than
// ten thousand. What is not a task is reported with its place, and the rest is loaded.

import LinuxSystem
import TaskModel
import TaskQueue

/// What came of submitting tasks.
struct Submission {
    /// How many lines are on their way at once: enough to keep Redis busy, few enough to see how it goes.
    private static let batchLines = 10_000

    private(set) var reply = SubmitReply()
    /// Of which the tasks are; nil for task lines.
    private(set) var job: Job?
    /// Whether that was not there before.
    private var isJobNew = false
    /// Whether some were task lines, which are of no job.
    private var hasLines = false
    private var problems = ProblemList()
    /// What its job waits for; nil for nothing.
    private(set) var awaited: AwaitedText?
    /// Where the order of what waits then is wanted.
    private var order: WaitingOrder?

    var errorCount: Int { problems.count }

    /// The identifier of the job of which all tasks are, "" where they are of none; nil where some are and some are not.
    var onlyJob: String? {
        guard let job else { return "" }
        return hasLines ? nil : job.identifier
    }

    var hasErrors: Bool { errorCount > 0 }

    /// `1,000 tasks added, 20 finished before, 3 already in todo`.
    var summary: String {
        var parts = ["\(grouped(reply.added)) task\(reply.added == 1 ? "" : "s") added"]
        if reply.finished > 0 { parts.append("\(grouped(reply.finished)) finished before") }
        if reply.inTodo > 0 { parts.append("\(grouped(reply.inTodo)) already in todo") }
        if reply.inProgress > 0 { parts.append("\(grouped(reply.inProgress)) already running") }
        if errorCount > 0 { parts.append("\(grouped(errorCount)) line\(errorCount == 1 ? "" : "s") not understood") }
        if let awaited { parts.append(awaited.text) }
        return (job.map { "job \($0.name): " } ?? "") + parts.joined(separator: ", ")
    }

    /// Loads the tasks into the queue.
    ///
    /// - Parameters:
    ///   - isForFleet: whether the nodes may be other machines.
    ///   - isForced: whether a job is added though a node knows nothing of jobs.
    ///   - order: takes in those that wait then, in the order of the input.
    static func submit(
        _ tasks: TaskInput, to queue: QueueClient, isForFleet: Bool, isForced: Bool = false, isQuiet: Bool = false,
        notingIn order: WaitingOrder? = nil
    ) throws(CommandError) -> Submission {
        var submission = Submission()
        submission.order = order
        let load = String(QueueIdentity().text.prefix(16))
        do {
            try add(
                tasks, to: queue, load, isForFleet: isForFleet, isForced: isForced, isQuiet: isQuiet, in: &submission)
        } catch {
            // A job that was there is as complete as it was; whether a new one is anything at all is for who submits it again.
            if let job = submission.job, !submission.isJobNew {
                _ = try? queue.perform(LoadedJob(job.identifier, load: load, isRefused: true, keys: queue.keys))
            }
            throw error
        }
        return submission
    }

    private static func add(
        _ tasks: TaskInput, to queue: QueueClient, _ load: String, isForFleet: Bool, isForced: Bool, isQuiet: Bool,
        in submission: inout Submission
    ) throws(CommandError) {
        let display = LoadingDisplay(isQuiet: isQuiet)
        defer { display.clear() }
        let parents = try queue.jobs(after: tasks.after)
        let common = tasks.commonSurroundings(isForFleet: isForFleet)
        var likes = Likes(
            try parents.filter { $0.way == .each }.map { parent throws(CommandError) in
                try LikeTasks(parent.job, likeThoseWith: tasks.columns, queue)
            }, common: common)
        if !likes.isEmpty, !tasks.readsStandardInput {
            var likes = likes
            try tasks.forEach(progress: LoadingDisplay(isQuiet: true), isQuiet: true) {
                entry, place throws(CommandError) in
                guard case .task(let line, let number) = entry else { return }
                _ = try likes.lines(like: line, values: tasks.values(number), place: place)
            }
        }
        func openJob(firstCommand: String? = nil, like line: TaskLine? = nil) throws(CommandError) -> Job {
            if let job = submission.job { return job }
            if isForFleet, !isForced { try queue.refuseOldNodes() }
            var request = try tasks.jobRequest(isForFleet: isForFleet, firstCommand: firstCommand, like: line)
            if let line { try Self.check(line, asOneOf: request, tasks) }
            // A share is one of all there are, which are known when all have been added.
            if tasks.halt?.isShare == true { request.settings.halt = "" }
            if let like = tasks.memory.like { request.settings.memoryBytes = try queue.memoryBytes(likeJob: like) }
            let (job, isNew) = try queue.open(request, load: load, after: parents)
            (submission.job, submission.isJobNew) = (job, isNew)
            if !parents.isEmpty || tasks.notBefore != nil {
                try queue.gate(job, after: parents.isEmpty ? nil : parents, notBefore: tasks.notBefore)
            }
            return job
        }
        var looksForOldWorkers = isForFleet && !isForced
        var isOfCommands = tasks.isOfCommands
        var linesAreOfJob = tasks.linesAreOfJob
        var job = isOfCommands ? try openJob() : nil
        var batch = Batch()
        var graph = TaskGraph(common: common)
        // What is wrong with any of the first is to be found before anything is changed of a job that is there.
        var unopened: [Unopened] = []
        var request: JobRequest?
        func addUnopened() throws(CommandError) {
            guard let first = unopened.first else { return }
            let job = try openJob(like: first.line)
            for task in unopened {
                batch.add(try Self.task(task.line, asOneOf: job), after: task.parents)
            }
            unopened.removeAll(keepingCapacity: true)
        }
        /// Takes in a task, and those before the first that waits for another: it may wait for one of them.
        func take(_ line: TaskLine, _ number: Int, _ place: Int) throws(CommandError) {
            let tasks = unopened + [Unopened(line, display.fileName, number, place)]
            unopened.removeAll()
            for task in tasks {
                do {
                    try graph.add(task.line, file: task.file, lineNumber: task.number, place: task.place)
                } catch {
                    throw .usage("\(error); \(Self.refusal(submission.job))")
                }
            }
        }
        try tasks.forEach(progress: display, isQuiet: isQuiet) { entry, place throws(CommandError) in
            switch entry {
            case .form(let form):
                display.clear()
                if form == .commands { try addUnopened() }
                (job, isOfCommands) = (nil, form == .commands)
                // Lines of no job are the first owner's.
                if form == .taskLines, isForFleet, !linesAreOfJob { linesAreOfJob = try queue.hasFirstOwnerElse() }
                submission.hasLines = submission.hasLines || form == .taskLines && !linesAreOfJob
            case .task(let line, let number):
                if isOfCommands {
                    let parents = try likes.lines(like: line, values: tasks.values(number), place: place)
                    if job == nil { job = try openJob(firstCommand: line.command) }
                    guard let job else { return }
                    batch.add(try Self.task(line, of: job), after: parents)
                } else if !linesAreOfJob, line.fieldOfJob == nil {
                    if looksForOldWorkers, !line.isOfOldForm {
                        looksForOldWorkers = false
                        try queue.refuseOldWorkers(line)
                    }
                    batch.add(line, number: number, place: place)
                } else {
                    if !linesAreOfJob {
                        // Standard input, which is told only now.
                        guard let lines = batch.takeUnsent() else {
                            throw .usage(
                                "\(TerminalText.escaped(display.fileName)):\(number): \(line.fieldOfJob ?? ""): the first tasks have been added as tasks of no job "
                                    + "before this one was read: say --name, or give the file by its name")
                        }
                        (linesAreOfJob, submission.hasLines) = (true, false)
                        for task in lines { try take(task.line, task.number, task.place) }
                    }
                    if tasks.gathersLines || graph.count > 0 || !line.hasNoAfter {
                        try take(line, number, place)
                    } else {
                        let parents = try likes.lines(like: line, values: [], place: place)
                        if request == nil {
                            request = try submission.request(like: line, tasks, isForFleet: isForFleet)
                        }
                        if let request { try Self.check(line, asOneOf: request, tasks) }
                        unopened.append(Unopened(line, display.fileName, number, place, parents))
                        if submission.job != nil || unopened.count >= Self.batchLines { try addUnopened() }
                    }
                }
                if batch.count >= Self.batchLines { try submission.send(&batch, to: queue, display) }
            case .problem(let problem):
                display.clear()
                submission.problems.add(problem)
            }
        }
        try addUnopened()
        if graph.count > 0, submission.problems.count == 0 {
            let tasks = try Self.tasks(of: graph, &likes, refusal: Self.refusal(submission.job)) {
                lines throws(CommandError) in
                let request = try submission.request(like: lines[0], tasks, isForFleet: isForFleet)
                for line in lines { try Self.check(line, asOneOf: request, tasks) }
                return try openJob(like: lines[0])
            }
            for task in tasks {
                batch.add(task, after: [])
                if batch.count >= Self.batchLines { try submission.send(&batch, to: queue, display) }
            }
        }
        try submission.send(&batch, to: queue, display)
        if let halt = tasks.halt, halt.isShare, let job = submission.job {
            var settings = job.settings
            settings.halt = halt.text
            _ = try queue.change(ChangeJob(job.identifier, settings: settings, keys: queue.keys))
        }
        if let job = submission.job {
            _ = try queue.perform(LoadedJob(job.identifier, load: load, keys: queue.keys))
            submission.awaited = try queue.awaited(job)
        }
    }

    /// A task of a job that has not been opened.
    private struct Unopened {
        let line: TaskLine
        let file: String
        let number: Int
        /// Among all of the input, from 0.
        let place: Int
        /// Those of other jobs for which it waits.
        let parents: [String]

        init(_ line: TaskLine, _ file: String, _ number: Int, _ place: Int, _ parents: [String] = []) {
            (self.line, self.file, self.number, self.place, self.parents) = (line, file, number, place, parents)
        }
    }

    /// What is to be sent next.
    private struct Batch {
        private(set) var lines: [TaskLine] = []
        /// Of ``lines``, while they are of no job.
        private var places: [(number: Int, place: Int)] = []
        private(set) var dependent: [DependentTask] = []
        private var wasSent = false
        var count: Int { lines.count + dependent.count }

        mutating func add(_ line: TaskLine, number: Int, place: Int) {
            lines.append(line)
            if !wasSent { places.append((number, place)) }
        }

        mutating func add(_ task: DependentTask, after parents: [String]) {
            let task =
                parents.isEmpty
                ? task : DependentTask(task.line, priority: task.priority, after: task.parents + parents)
            if task.parents.isEmpty, task.priority == nil, task.line.own == nil {
                lines.append(task.line)
            } else {
                dependent.append(task)
            }
        }

        /// The lines of no job, if none has been sent.
        mutating func takeUnsent() -> [(line: TaskLine, number: Int, place: Int)]? {
            guard !wasSent else { return nil }
            let taken = zip(lines, places).map { (line: $0, number: $1.number, place: $1.place) }
            self = Batch()
            return taken
        }

        mutating func clear() {
            lines.removeAll(keepingCapacity: true)
            dependent.removeAll(keepingCapacity: true)
            (places, wasSent) = ([], true)
        }
    }

    /// What became of the rest where a task is refused for what it waits for; of long input that can be read only once, the first thousands
    /// are in the queue by then.
    private static func refusal(_ opened: Job?) -> String {
        opened == nil ? "nothing was added" : "tasks before it may have been added already"
    }

    private static func task(_ line: TaskLine, of job: Job) throws(CommandError) -> DependentTask {
        do {
            let own = try TaskLine(
                command: line.command, surroundings: line.surroundings ?? TaskSurroundings(), of: job)
            return DependentTask(own, after: [])
        } catch {
            throw .usage("a command is not a task: \(error.message)")
        }
    }

    /// What the tasks of its job have in common, which may be opened by the first of these lines.
    private func request(
        like line: TaskLine, _ tasks: TaskInput, isForFleet: Bool
    ) throws(CommandError) -> JobRequest {
        guard let job else { return try tasks.jobRequest(isForFleet: isForFleet, like: line) }
        return JobRequest(name: job.name, isNameChosen: true, settings: job.settings, definition: job.definition)
    }

    /// Throws where a line of a task file says what its job does not, and cannot have for itself alone.
    ///
    /// - Parameter input: with what options say of its resources and nodes.
    private static func check(
        _ line: TaskLine, asOneOf request: JobRequest, _ input: TaskInput
    ) throws(CommandError) {
        let settings = request.settings
        var shown: String { TerminalText.shortened(TerminalText.escaped(line.text), to: 60) }
        let labels = line.surroundings?.nodeLabels ?? input.nodeLabels
        guard labels == settings.nodeLabels else {
            func text(_ labels: LabelExpression?) -> String { labels.map { "`\($0.text)`" } ?? "any" }
            throw .usage(
                "all tasks of a job are for the same nodes; the job's are for \(text(settings.nodeLabels)), and this one for "
                    + "\(text(labels)): \(shown)")
        }
        let resources = line.surroundings?.resources ?? input.resources ?? ResourceRequest()
        guard resources == settings.resources else {
            func text(_ request: ResourceRequest) -> String { request.isEmpty ? "nothing" : request.words }
            throw .usage(
                "all tasks of a job have the same resources; the job's ask for \(text(settings.resources)), and this one for "
                    + "\(text(resources)): \(shown)")
        }
        if settings.isIdempotent, line.surroundings?.checkpointDirectory != nil {
            throw .usage("--idempotent: two copies of a task would save in one place, its checkpoint_dir: \(shown)")
        }
        guard line.type == request.definition.type else {
            throw .usage(
                "all tasks of a job are of one type; the first is \(request.definition.type.rawValue), and this is not: \(shown)"
            )
        }
    }

    /// A line of a task file that has been checked as a task of its job: what it may use is its own where it is not what the job says.
    private static func task(_ line: TaskLine, asOneOf job: Job) throws(CommandError) -> DependentTask {
        var own = OwnSettings(memoryBytes: line.memoryBytes, millicores: line.millicores, timeout: line.timeout)
        own.memoryMaxBytes = line.memoryMaxBytes
        return DependentTask(
            try task(line, of: job).line.taking(own),
            priority: line.priority == job.settings.priority ? nil : line.priority, after: [])
    }

    /// Tasks that wait for each other, once all are known; each behind those for which it waits.
    ///
    /// - Parameters:
    ///   - refusal: what to say of the rest where something is wrong with them.
    ///   - openJob: is given all of them, to be checked before it opens their job.
    private static func tasks(
        of graph: TaskGraph, _ likes: inout Likes, refusal: String,
        _ openJob: ([TaskLine]) throws(CommandError) -> Job
    ) throws(CommandError) -> [DependentTask] {
        let order: [TaskGraph.Ordered]
        do {
            order = try graph.ordered()
        } catch {
            throw .usage("\(error); \(refusal)")
        }
        // What is wrong with any of them is to be found before the first is added.
        var others: [[String]] = []
        if !likes.isEmpty {
            for task in order {
                others.append(try likes.lines(like: task.line, values: [], place: task.inputPlace))
            }
        }
        let job = try openJob(order.map(\.line))
        var tasks: [DependentTask] = []
        tasks.reserveCapacity(order.count)
        for (index, task) in order.enumerated() {
            let own = try Self.task(task.line, asOneOf: job)
            let parents = task.after.map { tasks[$0].line.text } + (likes.isEmpty ? [] : others[index])
            tasks.append(DependentTask(own.line, priority: own.priority, after: parents))
        }
        return tasks
    }

    /// Those that wait for nothing first: others may wait for them.
    private mutating func send(
        _ batch: inout Batch, to queue: QueueClient, _ display: LoadingDisplay
    ) throws(CommandError) {
        guard batch.count > 0 else { return }
        if !batch.lines.isEmpty { reply.add(try queue.submit(batch.lines)) }
        if !batch.dependent.isEmpty { reply.add(try queue.submit(batch.dependent)) }
        try order?.add(batch.lines.map(\.text) + batch.dependent.map(\.line.text))
        display.sent(batch.count)
        batch.clear()
    }
}

extension TaskLine {
    fileprivate var hasNoAfter: Bool { surroundings?.after.isEmpty != false }

    /// A field that only a task of a job can have; nil where it has none.
    fileprivate var fieldOfJob: String? {
        if !hasNoAfter { return "after" }
        if memoryMaxBytes > 0 { return "memory_max" }
        if surroundings?.resources != nil { return "resources" }
        return surroundings?.nodeLabels == nil ? nil : "where"
    }
}

/// Lines that are not tasks: reported one by one up to a bound, beyond that only counted.
struct ProblemList {
    private static let shownMax = 50

    private(set) var count = 0

    mutating func add(_ problem: TaskFileProblem) {
        count += 1
        if count <= Self.shownMax { standardError.write("\(problem)\n") }
        if count == Self.shownMax { standardError.write("(further lines like these are only counted)\n") }
    }
}
