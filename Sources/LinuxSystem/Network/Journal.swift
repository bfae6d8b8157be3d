// The journal as a log with fields: entries go to its own socket in its own protocol, so that `journalctl TASK=...` finds what a
// line of text would only mention. See "Native Journal Protocol" in the documentation of systemd.

import CLinux
import Glibc

/// systemd's journal, where there is one.
public struct Journal: Sendable {
    private let socketPath: String

    /// How long a journal that takes nothing may hold up its caller. After that the entry is lost: deadlines matter more.
    private static let patienceMilliseconds = 100

    public init(socketPath: String = "/run/systemd/journal/socket") { self.socketPath = socketPath }

    /// Whether what this process writes to standard error becomes the journal's, as JOURNAL_STREAM says it was set up, and has not
    /// been sent elsewhere since (see systemd.exec(5)).
    public static var readsStandardError: Bool {
        var status = stat()
        guard let stream = Host.environment("JOURNAL_STREAM"), fstat(STDERR_FILENO, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }

    /// Writes one entry.
    ///
    /// - Parameter fields: names as in `MESSAGE` and `TASK`; the value of one may hold anything, newlines and NULs included.
    /// - Returns: false when it could not be written for good, so that the caller should write to standard error instead. An
    ///   entry for which the journal has no room in time is lost.
    public func write(_ fields: [(name: String, value: String)]) -> Bool {
        do throws(SystemError) {
            try LocalDatagram.send(
                Self.encoded(fields), to: socketPath, waitingAtMostMilliseconds: Self.patienceMilliseconds)
            return true
        } catch {
            // Writing to standard error instead would wait for the same journal, and without an end.
            return error.code == EAGAIN
        }
    }

    /// `NAME=value` and a newline where the value has no newline, else `NAME`, newline, its length in 8 bytes, and the value.
    static func encoded(_ fields: [(name: String, value: String)]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, value) in fields {
            let newline = UInt8(ascii: "\n")
            bytes += fieldName(name)
            if value.utf8.contains(newline) {
                bytes.append(newline)
                withUnsafeBytes(of: UInt64(value.utf8.count).littleEndian) { bytes += $0 }
            } else {
                bytes.append(UInt8(ascii: "="))
            }
            bytes += value.utf8
            bytes.append(newline)
        }
        return bytes
    }

    /// The journal takes capitals, digits and underscores; an entry with any other name loses that field.
    private static func fieldName(_ name: String) -> [UInt8] {
        name.uppercased().utf8.map { byte in
            let isPlain = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || (48...57).contains(byte)
            return isPlain ? byte : UInt8(ascii: "_")
        }
    }
}
