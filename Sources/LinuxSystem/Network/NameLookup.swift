// getaddrinfo(3) waits for as long as the system's resolver does, half a minute and more when a name server is down. A loop
// that must meet deadlines cannot: a thread of its own asks, and a descriptor tells when it has the answer.

import CLinux
import Glibc
import Synchronization

/// Turns host names into addresses in the background, one at a time: however often a name is asked for, and however long the
/// resolver takes, there is never more than one thread.
///
/// `begin`, then watch `descriptor` for reading, then take the `result`; `abandon` when it takes too long.
public final class NameLookup {
    /// How a name is resolved: `AddressResolver.resolve`, unless a test brings its own.
    public typealias Resolve = @Sendable (_ host: String, _ port: UInt16) throws(ResolutionError) -> [SocketAddress]

    private let resolve: Resolve
    /// The latest lookup, which may outlive our interest in it.
    private var job: LookupJob?
    /// The reading end of a pipe whose other end the job closes when it is done; nil when nobody waits.
    private var done: SharedDescriptor?

    public init(resolve: @escaping Resolve = AddressResolver.resolve) { self.resolve = resolve }

    /// To be watched for reading while an answer is awaited; another one after each `begin`.
    public var descriptor: Int32? { done?.raw }

    /// Begins to look up `host`. The same lookup, when it was abandoned and still goes on, is waited for again.
    ///
    /// Throws when no thread can be had, or the one there is still works on another name.
    public func begin(host: String, port: UInt16) throws(ResolutionError) {
        abandon()
        let pipe = try Self.pipe(for: host)
        if let job, job.announce(on: pipe.writing) {
            guard job.host == host, job.port == port else {
                throw ResolutionError(host: host, cause: "the lookup of \(job.host) still goes on")
            }
        } else {
            job = try LookupJob.start(host: host, port: port, announcedOn: pipe.writing, resolve)
        }
        done = pipe.reading
    }

    /// What came of it, once; nil while it goes on.
    public func result() -> Result<[SocketAddress], ResolutionError>? {
        guard done != nil, let result = job?.result else { return nil }
        done = nil
        job = nil
        return result
    }

    /// Stops waiting. The result of the lookup will be dropped.
    public func abandon() { done = nil }

    private static func pipe(
        for host: String
    ) throws(ResolutionError) -> (reading: SharedDescriptor, writing: SharedDescriptor) {
        do throws(SystemError) {
            let ends = try OwnedDescriptor.pipe()
            return (SharedDescriptor(ends.reading), SharedDescriptor(ends.writing))
        } catch {
            throw ResolutionError(host: host, cause: "\(error)")
        }
    }
}

/// One lookup and its thread. They share it: whoever lets go of it last frees it.
private final class LookupJob: Sendable {
    let host: String
    let port: UInt16
    private let resolve: NameLookup.Resolve
    private let state: Mutex<State>

    private enum State {
        /// The descriptor is closed at the end.
        case running(SharedDescriptor)
        case ended(Result<[SocketAddress], ResolutionError>)
    }

    private init(
        _ host: String, _ port: UInt16, _ announcement: SharedDescriptor, _ resolve: @escaping NameLookup.Resolve
    ) {
        self.host = host
        self.port = port
        self.resolve = resolve
        state = Mutex(.running(announcement))
    }

    /// Starts the thread.
    static func start(
        host: String, port: UInt16, announcedOn announcement: SharedDescriptor, _ resolve: @escaping NameLookup.Resolve
    ) throws(ResolutionError) -> LookupJob {
        let job = LookupJob(host, port, announcement, resolve)
        do throws(SystemError) {
            try DetachedThread.start { job.run() }
        } catch {
            throw ResolutionError(host: host, cause: "\(error)")
        }
        return job
    }

    var result: Result<[SocketAddress], ResolutionError>? {
        state.withLock { if case .ended(let result) = $0 { result } else { nil } }
    }

    /// Has `descriptor` closed at the end, in place of the one before. False when the end has come.
    func announce(on descriptor: SharedDescriptor) -> Bool {
        state.withLock { state in
            guard case .running = state else { return false }
            state = .running(descriptor)
            return true
        }
    }

    private func run() {
        let result: Result<[SocketAddress], ResolutionError>
        do throws(ResolutionError) {
            result = .success(try resolve(host, port))
        } catch {
            result = .failure(error)
        }
        state.withLock { $0 = .ended(result) }  // And the descriptor goes, which the other side sees.
    }
}
