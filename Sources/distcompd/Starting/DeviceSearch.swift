// The GPUs of this machine, for `"resources": {"gpu": "auto"}`. A child of this program asks the driver's library for them: that may hang, or
// crash, and is not to do so here.

import LinuxSystem
import TaskModel

/// What was found, and what there is to say of it.
struct DeviceSearch {
    var devices: [String] = []
    /// Why there are none, or not all.
    var notes: [String] = []

    /// A driver that comes up with the machine takes some seconds a device to its first answer. Where tasks are running, the lease they
    /// run under is waiting for us.
    private static func secondsMax(_ arguments: Arguments) -> Double { arguments.reExecDescriptor == nil ? 30 : 10 }

    /// Has a child look.
    static func byChild(of programPath: String, _ arguments: Arguments) -> DeviceSearch {
        var search = DeviceSearch()
        let words =
            ["--list-gpus"] + (arguments.nvidiaLibrary.map { ["--nvidia-library", $0] } ?? [])
            + (arguments.amdTopology.map { ["--amd-topology", $0] } ?? [])
        let secondsMax = Self.secondsMax(arguments)
        do throws(SystemError) {
            guard let (bytes, ending) = try ChildProcesses.output(of: programPath, words, withinSeconds: secondsMax)
            else {
                search.notes = ["the driver did not answer within \(AmountText.seconds(secondsMax))"]
                return search
            }
            switch ending {
            case .exit(code: 0): search.take(String(decoding: bytes, as: UTF8.self))
            case .exit(let code): search.notes = ["the search for them ended with exit \(code)"]
            case .signal(let signal):
                search.notes = ["the driver's library ended the search for them by signal \(signal)"]
            }
        } catch {
            search.notes = ["\(error)"]
        }
        return search
    }

    /// Reads what such a child printed.
    private mutating func take(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard words.count == 2 else { continue }
            if words[0] == "note" {
                notes.append(TerminalText.escaped(words[1]))
            } else if NodeResources.isDevice(words[1]), !devices.contains(words[1]),
                devices.count < NodeResources.devicesMax
            {
                devices.append(words[1])
            }
        }
    }

    /// Looks, in this process: what the child does.
    static func printed(_ arguments: Arguments) -> String {
        var lines: [String] = []
        do throws(NvidiaDevices.Failure) {
            let found = try NvidiaDevices.find(library: arguments.nvidiaLibrary ?? NvidiaDevices.usualLibrary)
            lines = found.identifiers.map { "gpu \($0)" } + found.notes.map { "note \($0)" }
        } catch {
            lines = ["note \(error)"]
        }
        let found = AMDDevices.find(topology: arguments.amdTopology ?? AMDDevices.usualTopology)
        lines += found.identifiers.map { "gpu \($0)" } + found.notes.map { "note \($0)" }
        return lines.map { $0 + "\n" }.joined()
    }
}

extension NodeResources {
    /// What a node has by its settings, where they say `"auto"` what is found here now.
    ///
    /// - Parameter tell: is told what an administrator should know.
    init(_ configuration: Configuration, programPath: String, _ arguments: Arguments, tell: (String) -> Void) {
        guard configuration.resources.values.contains(.found), !arguments.clearsOnly else {
            self.init(configuration.resources)
            return
        }
        // A run has what whoever started it has, as on a node of another system that gave it some of its GPUs.
        if arguments.servesParent, let own = Self.devicesOfCaller() {
            self.init(configuration.resources, found: own)
            return
        }
        let search = DeviceSearch.byChild(of: programPath, arguments)
        self.init(configuration.resources, found: search.devices)
        if search.devices.isEmpty {
            tell(
                """
                resources: no GPU was found (\(search.notes.joined(separator: "; ")); none in \(AMDDevices.usualTopology)): tasks that ask for \
                gpu are not given to this node. Install the driver, or name the devices: "gpu": ["GPU-..."]
                """)
        } else {
            for note in search.notes where !note.hasPrefix("dlopen") { tell("resources: \(note)") }
        }
    }

    /// Nil where it has all of them.
    private static func devicesOfCaller() -> [String]? {
        for name in TaskVariables.devices {
            guard let variable = Host.environment.first(where: { $0.starts(with: "\(name)=".utf8) }) else { continue }
            let value = String(decoding: variable.dropFirst(name.utf8.count + 1), as: UTF8.self)
            // Of programs, each stops at the first that it does not know; -1 is none by custom.
            return Array(value.split(separator: ",").map(String.init).prefix { isDevice($0) && !$0.hasPrefix("-") })
        }
        return nil
    }
}

// MARK: - What a task is told

extension TaskVariables {
    /// What tells a task which devices and how much of what else it has.
    ///
    /// - Parameter managesDevices: whether GPUs are given to tasks here, so that one without any sees none.
    static func variables(
        _ parts: [(name: String, thousandths: Int, devices: [String])], managesDevices: Bool
    ) -> [(String, String)] {
        var variables = parts.map { part in
            (
                resourcePrefix + part.name.uppercased(),
                part.devices.isEmpty
                    ? ResourceRequest.amountText(part.thousandths) : part.devices.joined(separator: ",")
            )
        }
        guard managesDevices else { return variables }
        let own = parts.first { $0.name == ResourceRequest.gpu }?.devices ?? []
        let all = own.joined(separator: ",")
        // What stands on AMD's runtime counts from what that shows it, and does not know names everywhere.
        let places = own.indices.map { "\($0)" }.joined(separator: ",")
        let areOfAMD = !own.isEmpty && own.allSatisfy(isOfAMD)
        variables.append((devices[0], areOfAMD ? places : all))
        variables.append((devices[1], areOfAMD ? places : all))
        // Numbers are places already: told of them twice, the second would count from what the first shows.
        let areNumbers = !own.isEmpty && own.allSatisfy { Int($0) != nil }
        if !areNumbers { variables.append((devices[2], all)) }
        return variables
    }

    /// `GPU-` and sixteen digits of a number in hexadecimal; those of NVIDIA are longer, with hyphens.
    static func isOfAMD(_ device: String) -> Bool {
        device.utf8.count == 20 && device.hasPrefix("GPU-")
            && device.utf8.dropFirst(4).allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }
}
