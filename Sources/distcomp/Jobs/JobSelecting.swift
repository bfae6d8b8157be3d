// How people name a job on the command line, and how one is opened for what they submit.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// A job to which a command is confined.
struct JobArgument: ParsableArguments {
    @Argument(
        help: .init(
            "Only this job, by its name (see distcomp jobs); `default`: the tasks that are of none.", valueName: "job"))
    var job: String?

    func validate() throws {
        guard let job, job != Job.defaultName, let problem = Job.problem(withName: job) else { return }
        throw ValidationError("\(TerminalText.shortened(TerminalText.escaped(job), to: 60)) is no job: \(problem)")
    }
}

extension QueueClient {
    /// Confines what follows to the job that a person named; nil: to nothing.
    func select(_ name: String?) throws(CommandError) {
        guard let name else { return }
        if name == Job.defaultName {
            selection = .one("")
            return
        }
        guard let job = try job(named: name) else { throw try noSuchJob(name) }
        selection = .one(job.identifier)
    }

    /// What to say of a name that no job has.
    func noSuchJob(_ name: String) throws(CommandError) -> CommandError {
        let shown = TerminalText.shortened(TerminalText.escaped(name), to: 60)
        let nearest =
            NearestName.find(name, among: try jobs().values.map(\.name)).map { "; did you mean \($0)?" } ?? ""
        return .noSuchTask("there is no job \(shown)\(nearest) (see distcomp jobs)")
    }

    /// Throws where a node is alive that knows nothing of jobs: an old worker would end at the sight of such a line, or an older distcompd
    /// leave it lying.
    func refuseOldNodes() throws(CommandError) {
        guard let node = try fleet(countingTasks: false).alive.first(where: { !$0.knowsJobs }) else { return }
        let what = node.version.map { "distcompd \($0)" } ?? "a worker of the old system"
        throw .usage(
            "\(TerminalText.escaped(node.name)) is \(what), which knows nothing of jobs: stop or update it, write the tasks as "
                + "lines of a task file, or say --force; nothing was added")
    }

    /// Throws where a worker of the old system is alive, which would end at the sight of this line.
    func refuseOldWorkers(_ line: TaskLine) throws(CommandError) {
        guard
            let node = try fleet(countingTasks: false).alive.first(where: {
                $0.version == nil && $0.leaseSecondsLeft == nil
            })
        else { return }
        throw .usage(
            "\(TerminalText.escaped(node.name)) is a worker of the old system, which ends at the sight of a line such as "
                + "\(TerminalText.shortened(TerminalText.escaped(line.text), to: 60)): only type:priority:GB:cores:command with whole "
                + "numbers, and no other colon, is for it. Stop it, or say --force; this line and those after it were not added"
        )
    }

    /// Gives a job other settings, or another name, however long that takes.
    func change(_ order: ChangeJob) throws(CommandError) -> ChangeJob.Reply {
        var order = order
        while true {
            let reply = try perform(order)
            guard case .going(let cursor) = reply else { return reply }
            order.cursor = cursor
        }
    }

    /// As whom this command submits unless it is told otherwise: as a user of Redis has to.
    private var ownName: String {
        redisUser ?? Account(userIdentifier: Host.userIdentifier)?.name ?? "\(Host.userIdentifier)"
    }

    /// Whether lines of no job would count as somebody else's: several owners have jobs, and another was here first. Who has the queue to
    /// himself is noted as that. Where a node knows nothing of jobs, lines stay lines.
    func hasFirstOwnerElse() throws(CommandError) -> Bool {
        let reply = try perform(NoteOwner(ownName, keys: keys))
        guard reply.areSeveral, !reply.first.isEmpty, reply.first != ownName else { return false }
        return try fleet(countingTasks: false).alive.allSatisfy(\.knowsJobs)
    }

    /// The job that is asked for: the same as before, or a new one. Where it is refused nothing is changed.
    ///
    /// - Parameters:
    ///   - load: by which ``LoadedJob`` will say that all has been added.
    ///   - parents: for which it will wait.
    func open(
        _ request: JobRequest, load: String, after parents: [(job: Job, way: AfterWay)]
    ) throws(CommandError) -> (job: Job, isNew: Bool) {
        var settings = request.settings
        let insistsOnOwner = !settings.owner.isEmpty
        if !insistsOnOwner { settings.owner = ownName }
        settings.host = Host.shortName
        settings.submittedAtUnixSeconds = Double(SystemClock.wallSeconds())
        var operation = OpenJob(
            name: request.name, isNameChosen: request.isNameChosen, settings: settings, definition: request.definition,
            load: load, insistsOnOwner: insistsOnOwner, after: parents.map { ($0.job.identifier, $0.way) }, keys: keys)
        while true {
            switch try perform(operation) {
            case .going(let cursor): operation.cursor = cursor
            case .opened(let identifier, let name, let isNew):
                directory.forget()
                return (
                    Job(identifier: identifier, name: name, settings: settings, definition: request.definition), isNew
                )
            case .unknown(let identifier):
                throw Self.forgotten(parents.first { $0.job.identifier == identifier }?.job.name ?? identifier)
            case .circle(let identifiers): throw try circle(identifiers)
            case .left(let departure, let name):
                let when = LocalTime(unixSeconds: Int64(departure.atUnixSeconds)).text
                throw .usage(
                    "this is job \(name), which has ended (\(grouped(departure.finished)) finished, \(grouped(departure.failed)) failed), and "
                        + "the results of which left Redis on \(when): all of it would run again. If that is meant: "
                        + "distcomp forget \(name), and then the same again")
            case .different(let identifier, _):
                guard try jobs()[identifier] != nil else {
                    throw .usage(
                        "there is a job \(request.name) of which this version cannot read what is noted: update it, or give this job another "
                            + "--name")
                }
                throw .usage(
                    "there is a job \(request.name) whose tasks have another directory, environment or input: give this one another --name, "
                        + "or forget that one (distcomp forget \(request.name))")
            }
        }
    }
}

/// What is needed to open a job.
struct JobRequest {
    var name: String
    var isNameChosen: Bool
    var settings: Job.Settings
    var definition = Job.Definition()
}

extension FleetNode {
    /// Whether it can be given tasks of jobs: distcompd 1.1 and later.
    var knowsJobs: Bool {
        let numbers = (version ?? "0").split(separator: ".").map { Int($0) ?? 0 }
        return numbers.lexicographicallyPrecedes([1, 1]) == false
    }
}
