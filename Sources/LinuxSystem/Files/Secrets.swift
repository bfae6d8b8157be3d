// Where secrets stand: in files, which are read only while nobody else can read them, since a secret that others know protects
// nothing; and in our own arguments, where they must not stay.

import CLinux
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
        let file = try OwnedDescriptor.openGuarded(path, [.readOnly, .nonBlocking])
        if let problem = problem(with: try file.status(subject: path), of: path) { throw problem }
        return try file.readToEnd(subject: path, bytesMax: bytesMax)
    }

    /// Writes a secret to a file that must not be there yet, for this user alone.
    public static func create(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
        let file = try OwnedDescriptor.openGuarded(
            path, [.writeOnly, .create, .exclusive, .doNotFollow], mode: 0o600)
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

// MARK: - Arguments
//
// A password in a URL on the command line is there for every user of the machine to see (ps, /proc/PID/cmdline). It cannot be
// taken back, but it need not stay.

extension Host {
    /// The first argument of this process that is not UTF-8, by its bytes; nil where all are. `CommandLine.arguments` has it with
    /// its bytes replaced, so that it means something else: the name of another file, say.
    public static func argumentThatIsNotText() -> [UInt8]? {
        var index: Int32 = 0
        while let argument = clinux_argument(index) {
            if String(validatingCString: argument) == nil {
                return UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
            }
            index += 1
        }
        return nil
    }

    /// Overwrites user and password of every URL among the arguments of this process, and what follows `option`, the name of an
    /// option that takes a password. To be called once they have been read.
    public static func hidePasswordsInArguments(after option: String? = nil) {
        var index: Int32 = 0
        var isPassword = false
        while let argument = clinux_argument(index) {
            let word = UnsafeMutableBufferPointer(start: argument, count: strlen(argument))
            if isPassword { hide(word[...]) }
            isPassword = option.map { hideValue(of: $0, in: word) } ?? false
            hideUserInformation(in: word)
            index += 1
        }
    }

    /// Whether the next word is the value of `option`; one in this word, behind an equals sign, becomes as many stars.
    static func hideValue(of option: String, in word: UnsafeMutableBufferPointer<CChar>) -> Bool {
        let name = option.utf8.map { CChar(bitPattern: $0) }
        guard word.starts(with: name) else { return false }
        if word.count > name.count, word[name.count] == 0x3D { hide(word[(name.count + 1)...]) }
        return word.count == name.count
    }

    private static func hide(_ characters: Slice<UnsafeMutableBufferPointer<CChar>>) {
        for index in characters.indices { characters.base[index] = 0x2A }
    }

    /// What stands between `://` and the last `@` of a word becomes as many stars.
    static func hideUserInformation(in word: UnsafeMutableBufferPointer<CChar>) {
        let (colon, slash, at) = (CChar(0x3A), CChar(0x2F), CChar(0x40))
        guard let end = word.lastIndex(of: at),
            let start = word[..<end].indices.first(where: { index in
                index >= 3 && word[index - 3] == colon && word[index - 2] == slash && word[index - 1] == slash
            })
        else { return }
        for index in start..<end { word[index] = 0x2A }
    }
}
