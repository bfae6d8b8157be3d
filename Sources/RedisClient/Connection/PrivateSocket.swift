// The Redis of one `distcomp run` asks who is there: its password is in a file beside its socket, in a directory that only its owner
// may look into. Whoever may read that file may use the queue, and nobody else.

import LinuxSystem

extension RedisEndpoint {
    /// What the file beside the socket is called.
    public static let privatePasswordFile = "password"

    /// The Redis whose socket is at `path`, and which is asked with the password beside it; without one where there is none.
    public init(privateSocket path: String) throws(SystemError) {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        self.init(unixPath: path)
        let files = try GuardedDirectory(path: directory)
        guard files.has(Self.privatePasswordFile) else { return }
        let password = try files.contents(of: Self.privatePasswordFile, bytesMax: 4096)
        credentials = RedisCredentials(password: String(decoding: password, as: UTF8.self))
    }
}
