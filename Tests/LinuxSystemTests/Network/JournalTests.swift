// The journal's protocol, against a socket that plays the journal: what is sent, and what is said when nobody takes it.

import Glibc
import Testing

@testable import LinuxSystem

@Suite struct JournalTests {
    private let folder: TemporaryFolder
    private let listener: SharedDescriptor

    init() throws {
        folder = try TemporaryFolder()
        listener = SharedDescriptor(try boundSocket(folder.path + "/socket"))
    }

    private var journal: Journal { Journal(socketPath: folder.path + "/socket") }

    private func received() throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(listener.raw, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        guard count >= 0 else { throw SystemError.last("recv", "the journal's socket") }
        return Array(buffer[..<count])
    }

    @Test("plain values are sent as NAME=value, a line each, names in capitals")
    func plainFields() throws {
        #expect(
            journal.write([("MESSAGE", "failed: exit 3"), ("exit_code", "3"), ("task", "shell:5:0:0:a=b\t\0\u{1B}[2J")])
        )
        #expect(
            try received() == Array("MESSAGE=failed: exit 3\nEXIT_CODE=3\nTASK=shell:5:0:0:a=b\t\0\u{1B}[2J\n".utf8))
    }

    @Test("a value with a newline is sent by its length, so that it cannot pass for another field")
    func hostileValue() throws {
        #expect(journal.write([("TASK", "a\nPRIORITY=0\n"), ("CAUSE", "")]))
        let expected = Array("TASK\n".utf8) + [13, 0, 0, 0, 0, 0, 0, 0] + Array("a\nPRIORITY=0\n\nCAUSE=\n".utf8)
        #expect(try received() == expected)
    }

    @Test("a name the journal would refuse is made one that it takes")
    func oddName() throws {
        #expect(journal.write([("exit-code=1\nB", "x")]))
        #expect(try received() == Array("EXIT_CODE_1_B=x\n".utf8))
    }

    @Test("without a journal, or for an entry it cannot take, the caller is told to write elsewhere")
    func nobodyListens() throws {
        #expect(Journal(socketPath: folder.path + "/nothing").write([("MESSAGE", "x")]) == false)
        #expect(journal.write([("MESSAGE", String(repeating: "x", count: 1 << 20))]) == false)
    }

    @Test("a journal that takes nothing loses the entry rather than holding up the caller")
    func fullQueue() throws {
        #expect(throws: SystemError(call: "sendto", subject: folder.path + "/socket", code: EAGAIN)) {
            while true { try LocalDatagram.send([1], to: folder.path + "/socket", waitingAtMostMilliseconds: 1) }
        }
        #expect(journal.write([("MESSAGE", "one too many")]))
        var waiting = try received()
        while waiting == [1] { waiting = (try? received()) ?? [] }
        #expect(waiting == [])
    }
}

private func boundSocket(_ path: String) throws -> OwnedDescriptor {
    let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard raw >= 0 else { throw SystemError.last("socket", path) }
    let descriptor = OwnedDescriptor(adopting: raw)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    guard bound == 0 else { throw SystemError.last("bind", path) }
    return descriptor
}
