// The one place a password lives in, so that there is one place to keep it from being printed.

import LinuxSystem

/// A user and password. Neither `print` nor `dump` nor string interpolation shows the password.
public struct RedisCredentials: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The name; Redis calls the user without one `default`.
    public let user: String
    public let password: String

    public init(user: String = "default", password: String) {
        self.user = user
        self.password = password
    }

    public var description: String { "user \(user)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["user": user]) }
}

extension RedisCredentials {
    /// The first line of a file; `setting` is what an error calls it.
    public static func password(inFile path: String, of setting: String) throws(RedisEndpointError) -> String {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileSystem.contents(of: path, bytesMax: 4096)
        } catch {
            throw RedisEndpointError("\(setting): \(error)")
        }
        var line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty else { throw RedisEndpointError("\(setting): the first line of \(path) is empty") }
        guard let password = String(validating: line, as: UTF8.self), !line.contains(0) else {
            throw RedisEndpointError("\(setting): the first line of \(path) is not text")
        }
        return password
    }
}
