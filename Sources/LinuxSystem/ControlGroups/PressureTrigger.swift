// The kernel's early warning that memory runs short, so that the daemon need not poll for it.

import CLinux
import Glibc

/// A PSI trigger on the memory of the whole machine, see the kernel's Documentation/accounting/psi.rst. Its descriptor shows
/// priority each time tasks stalled on memory for longer than the threshold within the window.
public struct PressureTrigger: ~Copyable {
    private let owned: OwnedDescriptor

    /// - Throws: ENOENT where the kernel has no PSI, EOPNOTSUPP where it was switched off at boot; the caller then goes by its
    ///   periodic measurements alone.
    public init(stallMicroseconds: Int = 150_000, windowMicroseconds: Int = 2_000_000) throws(SystemError) {
        // A window of a multiple of 2 s needs no CAP_SYS_RESOURCE on kernels from 6.5 on.
        let path = "/proc/pressure/memory"
        let file = try OwnedDescriptor.open(path, [.readWrite, .nonBlocking])
        // The kernel wants the line and its terminating NUL in one write.
        try file.writeAll(Array("some \(stallMicroseconds) \(windowMicroseconds)".utf8) + [0], subject: path)
        owned = file
    }

    public var descriptor: Int32 { owned.raw }
}
