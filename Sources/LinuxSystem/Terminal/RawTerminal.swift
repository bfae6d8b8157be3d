// A terminal for a full-screen program: keys come one by one and unseen, drawing goes to a screen of its own. However the
// program ends, the terminal is given back as it was found: a shell behind a terminal in raw mode is a shell nobody can use.

import CLinux
import Glibc

/// A terminal in raw mode, on its second screen, until this is gone.
public final class RawTerminal {
    /// Where keys come from, for an event loop.
    public let descriptor: Int32
    private let terminal: SharedDescriptor
    private var settingsBefore = termios()
    private var isRaw = false

    /// To the second screen, without a cursor.
    private static let enter = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[H\u{1b}[2J"
    /// The cursor back, attributes off, and to the first screen.
    private static let leave = "\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l"

    /// Takes the terminal this process was started from, whatever its standard input is.
    public init() throws(SystemError) {
        terminal = SharedDescriptor(try OwnedDescriptor.open("/dev/tty", [.readWrite]))
        descriptor = terminal.raw
        guard tcgetattr(descriptor, &settingsBefore) == 0 else { throw .last("tcgetattr", "/dev/tty") }
        clinux_restore_terminal_at_crash(descriptor, &settingsBefore, Self.leave)
        try enterRawMode()
    }

    deinit { restore() }

    /// Gives the terminal back; `enterRawMode` takes it again.
    public func restore() {
        guard isRaw else { return }
        isRaw = false
        // Nothing is left to be done about a terminal that has gone away.
        try? draw(Self.leave)
        tcsetattr(descriptor, TCSAFLUSH, &settingsBefore)
    }

    /// Takes the terminal: no echo, no lines, each key as it comes. Ctrl-C and its like stay signals.
    public func enterRawMode() throws(SystemError) {
        guard !isRaw else { return }
        var settings = settingsBefore
        settings.c_lflag &= ~UInt32(ICANON | ECHO | IEXTEN)
        settings.c_iflag &= ~UInt32(IXON | ICRNL | INLCR)
        guard tcsetattr(descriptor, TCSAFLUSH, &settings) == 0 else { throw .last("tcsetattr", "/dev/tty") }
        isRaw = true
        try draw(Self.enter)
    }

    /// What Ctrl-Z asks for: stops this process, with the terminal as it was; goes on in raw mode when it is continued.
    public func stopUntilContinued() throws(SystemError) {
        restore()
        kill(getpid(), SIGSTOP)
        try enterRawMode()
    }

    public func draw(_ text: String) throws(SystemError) {
        try StandardStream(descriptor: descriptor).writeAll(text)
    }

    /// What was typed since last asked, at most a few hundred bytes; empty when the terminal has gone.
    public func typed() throws(SystemError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = retryingInterrupted { Glibc.read(descriptor, &buffer, buffer.count) }
        guard count >= 0 else { throw .last("read", "/dev/tty") }
        return Array(buffer[..<count])
    }

    /// Rows and columns; 24 and 80 where the terminal does not say.
    public var size: (rows: Int, columns: Int) {
        var size = winsize()
        guard clinux_window_size(descriptor, &size) == 0, size.ws_row > 0, size.ws_col > 0 else { return (24, 80) }
        return (Int(size.ws_row), Int(size.ws_col))
    }
}
