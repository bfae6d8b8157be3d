import ArgumentParser
import Dispatch
import LinuxSystem
import TaskModel
import WebServer

/// `distcomp web`: the queue as pages.
struct WebCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "web",
        abstract: "Serve the queue as web pages, on this machine only.",
        discussion: """
            What waits, runs and failed, why, on which nodes, and what tasks wrote. It listens on this machine alone; from another one \
            `ssh -L 8817:localhost:8817 HOST` reaches it, or a proxy with TLS that asks who is there. On a machine with other users \
            --token-file keeps them out, and so does a Unix socket. Started by root it becomes `nobody` before anybody can ask it for anything.

            Examples:
              distcomp web
              distcomp web --state .distcomp
              distcomp web --listen unix:/run/distcomp-web/socket --host distcomp.example.org
              distcomp web --allow-orders --token-file token
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(
        help: .init("A port of this machine, 0 for any that is free, or unix:PATH for a socket.", valueName: "place"))
    var listen = "8817"

    @Option(
        help: .init(
            "A name under which the pages may be asked for, besides localhost, as behind a proxy.", valueName: "name"))
    var host: [String] = []

    @Option(help: .init("Ask for the token in this file, which only you may read.", valueName: "file"))
    var tokenFile: String?

    /// The run that started it, with which it is to end.
    @Option(help: .hidden)
    var ofRun: Int32?

    @Option(
        help: .init(
            "Tell of so many jobs at /metrics too, the largest; each adds series to a Prometheus.", valueName: "number")
    )
    var metricsByJob = 0

    @Flag(help: "Take orders too: retry, cancel, pause, drain. Redis decides whether its user may.")
    var allowOrders = false

    func validate() throws { _ = try address() }

    func run() throws {
        let address = try address()
        let token = try tokenFile.map(Self.token)
        try followRun()  // Before it finds a run that is over, and keeps the next one from its directory.
        try connection.withQueue { queue in
            _ = Host.raiseDescriptorLimit()
            Host.ignoreBrokenPipes()
            let slow = try queue.another()
            // Files that root keeps nobody can read: then the node hands on what its tasks wrote, as it does from other machines.
            let files = Host.isRoot ? OutputFiles() : OutputFiles(queue, stateDirectory: connection.state)
            if Host.isRoot { try leaveRoot(queue) }
            try followRun()  // A change of user ended that.
            let requestGuard = RequestGuard(hosts: host, token: token, allowsOrders: allowOrders)
            let site = WebSite(
                settings: PageSettings(
                    allowsOrders: allowOrders, metricsJobsMax: metricsByJob, queueName: queue.address),
                requestGuard: requestGuard,
                desk: QueueDesk(Handed(value: queue), label: "pages"),
                slowDesk: QueueDesk(Handed(value: slow), label: "outputs and orders"),
                files: Handed(value: files))
            let server = PageServer(address: address, guard: requestGuard) { await site.answer($0) }
            try serve(server, address)
        }
    }

    private func followRun() throws {
        guard try ofRun.map({ try Host.followParent($0, signal: .terminate) }) ?? true else {
            throw CommandError.failed("the run that these pages were to show has ended")
        }
    }

    /// Nobody who finds a fault in these pages is to be root by it.
    private func leaveRoot(_ queue: QueueClient) throws {
        if let path = queue.stateOfRun {
            throw CommandError.usage(
                "the run in \(TerminalText.escaped(path)) is over and root's, and pages are never served by root: `distcomp status --state` and "
                    + "`distcomp results --state` tell of it")
        }
        guard let account = Account(named: "nobody") else {
            throw CommandError.usage(
                "pages are never served by root, and there is no user nobody here: start them as another user")
        }
        do {
            try account.becomeForGood()
        } catch {
            throw CommandError.failed("cannot become nobody, and pages are never served by root: \(error)")
        }
    }

    /// Serves until a signal ends it. The thread that was here first waits meanwhile; it does nothing else.
    private func serve(_ server: PageServer, _ address: PageServer.Address) throws {
        let done = DispatchSemaphore(value: 0)
        let outcome = Outcome()
        Task.detached {
            do {
                try await server.run { port in
                    let place =
                        switch address {
                        case .loopback: "http://localhost:\(port)/"
                        case .unixSocket(let path): "the socket \(TerminalText.escaped(path))"
                        }
                    standardError.write(
                        "distcomp: the pages are at \(place)\(ofRun == nil ? " (Ctrl-C ends them)" : "")\n")
                    ServiceManager().notify("READY=1")
                }
            } catch {
                outcome.failure = "cannot serve pages at \(listen): \(error)"
            }
            done.signal()
        }
        done.wait()
        if let failure = outcome.failure { throw CommandError.failed(TerminalText.escaped(failure)) }
    }

    /// Written before the semaphore is signalled, read after it was waited for.
    private final class Outcome: @unchecked Sendable { var failure: String? }

    private func address() throws -> PageServer.Address {
        if listen.hasPrefix("unix:"), listen.utf8.count > 5 { return .unixSocket(path: String(listen.dropFirst(5))) }
        guard let port = Int(listen), (0...65535).contains(port) else {
            throw ValidationError(
                "--listen \(TerminalText.escaped(listen)): expected a port of this machine, or unix:PATH; other machines reach the pages "
                    + "by SSH or through a proxy")
        }
        return .loopback(port: port)
    }

    private static func token(_ path: String) throws -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes = try SecretFile.contents(of: path)
        } catch {
            throw CommandError.usage("--token-file: \(error)")
        }
        let token = Array(bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
        guard token.count >= 16, token.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ";") }) else {
            throw CommandError.usage(
                "--token-file \(TerminalText.escaped(path)): a token has 16 printable characters or more, no blank and no semicolon; "
                    + "`openssl rand -hex 32` makes one")
        }
        return token
    }
}
