// The capabilities that this process and its children can have at all, see capabilities(7).

import CLinux
import Glibc

/// A capability that a node needs, as capabilities(7) numbers it.
public enum Capability: Int32, CaseIterable, Sendable {
    case chown = 0
    case discretionaryAccessOverride = 1
    case fileOwner = 3
    case kill = 5
    case setGroupIdentifier = 6
    case setUserIdentifier = 7
    case setCapabilities = 8
    case systemResource = 24

    /// Its name in a unit file.
    public var name: String {
        switch self {
        case .chown: "CAP_CHOWN"
        case .discretionaryAccessOverride: "CAP_DAC_OVERRIDE"
        case .fileOwner: "CAP_FOWNER"
        case .kill: "CAP_KILL"
        case .setGroupIdentifier: "CAP_SETGID"
        case .setUserIdentifier: "CAP_SETUID"
        case .setCapabilities: "CAP_SETPCAP"
        case .systemResource: "CAP_SYS_RESOURCE"
        }
    }
}

/// The capability bounding set: what no program executed by this process or below it can go beyond.
public enum BoundingSet {
    /// Takes out what no node needs, as the unit's CapabilityBoundingSet does, where a daemon is started without the unit. It
    /// costs each launch a call to take out what is left.
    ///
    /// Without the right to (in some containers) the set stays as it is. Then distcomp-launch cannot take it from tasks either,
    /// and the trial launch at the start ends with that error.
    public static func narrow() {
        let needed = Set(Capability.allCases.map(\.rawValue))
        var number: Int32 = 0
        while clinux_has_bounding_capability(number) {
            if !needed.contains(number) { _ = clinux_drop_bounding_capability(number) }
            number += 1
        }
    }

    /// One bit a capability.
    public static func current() throws(SystemError) -> UInt64 {
        let path = "/proc/self/status"
        let lines = try FileSystem.text(of: path).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("CapBnd:\t") }),
            let set = UInt64(line.dropFirst("CapBnd:\t".count), radix: 16)
        else { throw SystemError(call: "read CapBnd", subject: path, code: ENOSYS) }
        return set
    }
}
