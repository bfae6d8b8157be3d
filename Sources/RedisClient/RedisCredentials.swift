// The one place a password lives in, so that there is one place to keep it from being printed.

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
