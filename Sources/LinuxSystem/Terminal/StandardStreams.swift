// Standard output and error, written to without buffering and without dying of a reader that has gone.

import CLinux
import Glibc

/// One of the process's own output streams.
public struct StandardStream: Sendable {
    public let descriptor: Int32

    /// Writes all of `text`, or says why not: EPIPE when its reader is gone, ENOSPC when its disk is full.
    public func writeAll(_ text: String) throws(SystemError) { try writeAll(bytes: Array(text.utf8)) }

    /// Writes all of `bytes`, or says why not. A terminal that another program made non-blocking is waited for.
    public func writeAll(bytes: [UInt8]) throws(SystemError) {
        try LinuxSystem.writeAll(bytes, to: descriptor, subject: name, waitsForRoom: true)
    }

    private var name: String {
        switch descriptor {
        case 1: "standard output"
        case 2: "standard error"
        default: "the terminal"
        }
    }

    /// Writes `text` for whoever reads; nothing depends on it.
    public func write(_ text: String) { _ = try? writeAll(text) }

    public var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Whether a write ends without waiting for anybody who reads: it is a file.
    public var isFile: Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Waits until it takes something, or its reader is gone; false when that did not come in time.
    public func isReady(withinMilliseconds milliseconds: Int32) throws(SystemError) -> Bool {
        try DescriptorWait.until(descriptor, readable: false, writable: true, atMostMilliseconds: milliseconds)
    }

    /// Whether it is a terminal that can move its cursor and show colours: one that TERM names, see environ(7), and not as "dumb".
    public var takesEscapeCodes: Bool {
        let name = Host.environment("TERM") ?? ""
        return isTerminal && !name.isEmpty && name != "dumb"
    }

    /// The width in columns of the terminal, or nil when this is none.
    public var terminalColumns: Int? {
        var size = winsize()
        guard isTerminal, clinux_window_size(descriptor, &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}

public let standardOutput = StandardStream(descriptor: 1)
public let standardError = StandardStream(descriptor: 2)

/// Leaves the terminal: from now on nothing is read, and what goes to standard output and error goes to `file`.
public func redirectStandardStreams(to file: borrowing OwnedDescriptor) throws(SystemError) {
    let null = try OwnedDescriptor.open("/dev/null", [.readOnly])
    for (source, target) in [(null.raw, Int32(0)), (file.raw, 1), (file.raw, 2)] where dup2(source, target) < 0 {
        throw .last("dup2", "descriptor \(source)")
    }
}

/// Whether somebody can be asked.
public var standardInputIsTerminal: Bool { isatty(0) == 1 }

/// Ends the process with that status, without running anything else.
public func exitProcess(_ status: Int32) -> Never { exit(status) }
