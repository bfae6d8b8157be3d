// Files that hold a secret: read only while nobody else can read them, since a secret that others know protects nothing.

import Glibc

/// A file that is not fit to hold a secret.
public struct SecretFileError: Error, Equatable, CustomStringConvertible {
    /// The path, what is wrong, and what to do.
    public let description: String

    init(_ description: String) { self.description = description }
}

public enum SecretFile {
    /// The bytes of a regular file that belongs to root or to this user and that nobody else can read or write.
    ///
    /// - Throws: SystemError or SecretFileError.
    public static func contents(of path: String, bytesMax: Int = 4096) throws -> [UInt8] {
        // Not to wait for the writer of a FIFO. What was opened is looked at, not what the path names by then.
        let file = try OwnedDescriptor.open(path, [.readOnly, .nonBlocking])
        if let problem = problem(with: try file.status(subject: path), of: path) { throw problem }
        return try file.readToEnd(subject: path, bytesMax: bytesMax)
    }

    /// Writes a secret to a file that must not be there yet, for this user alone.
    public static func create(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
        let file = try OwnedDescriptor.open(path, [.writeOnly, .create, .exclusive, .doNotFollow], mode: 0o600)
        do throws(SystemError) {
            try file.writeAll(bytes, subject: path)
        } catch {
            unlink(path)  // Half a secret is none.
            throw error
        }
    }

    private static func problem(with status: FileStatus, of path: String) -> SecretFileError? {
        guard status.isRegular else { return SecretFileError("\(path) is not a file") }
        guard status.ownerIdentifier == 0 || status.ownerIdentifier == Host.userIdentifier else {
            let owner = Account(userIdentifier: status.ownerIdentifier)?.name ?? "\(status.ownerIdentifier)"
            return SecretFileError("\(path) belongs to \(owner), who can change it: chown root \(path)")
        }
        guard status.permissions & 0o077 == 0 else {
            let mode = String(status.permissions, radix: 8)
            return SecretFileError("others than its owner can use \(path) (mode \(mode)): chmod 600 \(path)")
        }
        return nil
    }
}
