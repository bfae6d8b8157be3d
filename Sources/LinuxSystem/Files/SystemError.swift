// Every refusal of the kernel is reported in one form, so that a log line can be acted on without the source at hand.

import CLinux
import Glibc

/// What the kernel said, to which call, about what: `write task-42/memory.max: Device or resource busy`.
public struct SystemError: Error, Equatable, CustomStringConvertible {
    /// The system or library call that failed.
    public let call: String
    /// What it was about: a path, an address, a program.
    public let subject: String
    /// The errno value, see errno(3).
    public let code: Int32

    public init(call: String, subject: String, code: Int32) {
        self.call = call
        self.subject = subject
        self.code = code
    }

    /// The error of a call that has just failed. Must be the first thing after it: anything else may change errno.
    public static func last(_ call: String, _ subject: String) -> SystemError {
        SystemError(call: call, subject: subject, code: errno)
    }

    public var description: String { "\(call) \(subject): \(errorText(code))" }
}

/// What an errno value means, in English whatever the locale.
public func errorText(_ code: Int32) -> String { String(cString: clinux_error_text(code)) }

/// errno values that callers above this room decide by; they must not import Glibc for them.
public enum ErrorCode {
    public static let accessDenied = EACCES
    public static let addressInUse = EADDRINUSE
    public static let again = EAGAIN
    public static let brokenPipe = EPIPE
    public static let connectionRefused = ECONNREFUSED
    public static let noSpace = ENOSPC
    public static let notFound = ENOENT
    public static let outOfMemory = ENOMEM
    public static let quotaExceeded = EDQUOT
    public static let readOnlyFileSystem = EROFS
    public static let tooManyFiles = EMFILE
    public static let tooManyFilesInSystem = ENFILE
}

/// Repeats a call that a signal interrupted (EINTR), and only that.
@inline(__always)
func retryingInterrupted<Result: SignedInteger>(_ call: () -> Result) -> Result {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}
