// The node daemon. Read this file and you know what it does, in which order; each line's room has the how.

import LinuxSystem

let arguments: Arguments
switch Arguments.parse(Array(CommandLine.arguments.dropFirst())) {
case .run(let parsed): arguments = parsed
case .printed(let text):
    standardOutput.write(text + "\n")
    exitProcess(0)
case .wrong(let problem):
    standardError.write("distcompd: \(problem)\n\(Arguments.usage)\n")
    exitProcess(2)
}
Host.hidePasswordsInArguments()

if arguments.listsDevices {
    standardOutput.write(DeviceSearch.printed(arguments))
    exitProcess(0)
}
if arguments.watchesDevices { exitProcess(DeviceAnswers.serve(arguments)) }
if arguments.checksOnly { exitProcess(checkUp(arguments) ? 0 : 2) }

do {
    exitProcess(try serve(arguments))
} catch {
    tellEnd(error)
    exitProcess(error.exitStatus)
}

/// The daemon's life, start to end; its exit status.
func serve(_ arguments: Arguments) throws(StartFailure) -> Int32 {
    let services = ServiceManager()
    let signals = try prepareProcess(arguments)  // Signals first: none may come before it is blocked.
    let reExecRecord = try takeReExecRecord(arguments)
    let node = try NodeIdentity(arguments, reExecRecord) { signals.next().map { $0 != .child } ?? false }
    let attempts = try attemptNotes(arguments, node)
    try refuseOpenRedis(node)
    for problem in node.readableSecrets { node.log.warning("\(problem)") }
    // What is left is ended also where there can be no groups now.
    let groups = arguments.clearsOnly ? (try? adoptGroups(node)) ?? nil : try adoptGroups(node)
    defer {
        if let error = groups?.leave() {
            node.log.warning("\(error): processes that were moved to neighbours/, out of the way of tasks, stay there")
        }
    }
    try clearLeftovers(node, groups, reExecRecord)
    if arguments.clearsOnly { return 0 }
    let runner = try makeRunner(node, groups, reExecRecord)
    let manner = try proveLaunchWorks(runner, isReExecuted: reExecRecord != nil)
    node.log.info("\(manner)")
    let daemon = try Daemon(node, runner, signals, services, reExecRecord, attempts)
    try daemon.connect()
    services.notify("READY=1")
    try daemon.runUntilStopped()
    services.notify("STOPPING=1")
    // The unit starts it again as long as WORKER_COMMAND_CLOSE stands, so that nobody need log in when it is taken back. Who has had
    // nothing to do, or was told to stop, is done.
    return daemon.supervisor.wasClosed && services.isThere ? EndStatus.comeAgain : 0
}
