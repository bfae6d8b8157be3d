// The daemon's command line. Read by hand: it is short, and a library for it would be most of the daemon's size.

/// What distcompd was started with.
struct Arguments {
    static let usage = """
        usage: distcompd [--config FILE] [--redis URL] [--state DIR] [--node NAME] [--serve-parent[=PID]]

          --config FILE    the settings, JSON (default: /etc/distcomp/conf.json where it exists)
          --redis URL      redis://[user[:password]@]host[:port][/db] or unix:///path, instead of the settings' Redis
          --state DIR      where the daemon keeps its own files, instead of the settings' state_dir
          --node NAME      this node's name, instead of the settings' node_name
          --redis-socket PATH  the same for a Unix socket whose path need not be absolute, with its password in a file
                           `password` beside it
          --task-user NAME whom tasks run as, instead of the settings' task_user
          --serve-parent[=PID]  serve one `distcomp run`: tasks get the caller's environment and umask, and a parent that ends
                           takes the node with it
          --note-attempts N  with it: note in descriptor N what begins and ends, for a run that shows what tasks write
          --check          go through the start, say what is missing, and end (see `distcomp doctor`)
          --clear          end what an earlier life of this daemon left running, and end
          --version, --help
        """

    var configurationPath: String?
    var redisURL: String?
    var redisSocketPath: String?
    var stateDirectory: String?
    var nodeName: String?
    var taskUser: String?
    var servesParent = false
    /// The process that this serves, by its own word.
    var parent: Int32?
    /// Where the run that this serves wants to read of attempts, see AttemptNotes.
    var attemptsDescriptor: Int32?
    var checksOnly = false
    var clearsOnly = false
    /// Whether to print which GPUs there are, and end: what a daemon has a child do.
    var listsDevices = false
    /// Whether to say what is used of GPUs, whenever asked: what another child does.
    var watchesDevices = false
    /// Where GPUs are looked for instead of the usual place: for tests.
    var nvidiaLibrary: String?
    var amdTopology: String?
    /// Where the program before this one left its running tasks, see ReExec.swift.
    var reExecDescriptor: Int32?
    /// What was parsed, but for --handover.
    private(set) var words: [String] = []

    enum Outcome {
        case run(Arguments)
        case printed(String)
        case wrong(String)
    }

    static func parse(_ words: [String]) -> Outcome {
        var arguments = Arguments()
        var rest = words[...]
        arguments.words = Array(words.prefix { $0 != "--handover" })
        while let word = rest.popFirst() {
            let (name, inlineValue) = split(word)
            switch name {
            case "--help", "-h": return .printed(usage)
            case "--version": return .printed("distcompd \(version)")
            case "--serve-parent":
                arguments.servesParent = true
                guard let inlineValue else { continue }
                guard let parent = Int32(inlineValue) else { return .wrong("\(name) needs a process") }
                arguments.parent = parent
            case "--check": arguments.checksOnly = true
            case "--clear": arguments.clearsOnly = true
            case "--list-gpus": arguments.listsDevices = true
            case "--watch-gpus": arguments.watchesDevices = true
            case "--nvidia-library", "--amd-topology", "--config", "--redis", "--redis-socket", "--state", "--node",
                "--task-user":
                guard let value = inlineValue ?? rest.popFirst(), !value.isEmpty else {
                    return .wrong("\(name) needs a value")
                }
                arguments.set(name, to: value)
            case "--handover", "--note-attempts":
                guard let descriptor = rest.popFirst().flatMap({ Int32($0) }) else {
                    return .wrong("\(name) needs a descriptor")
                }
                if name == "--handover" {
                    arguments.reExecDescriptor = descriptor
                } else {
                    arguments.attemptsDescriptor = descriptor
                }
            default: return .wrong("unknown option \(word)")
            }
        }
        return .run(arguments)
    }

    private mutating func set(_ name: String, to value: String) {
        switch name {
        case "--config": configurationPath = value
        case "--redis": redisURL = value
        case "--redis-socket": redisSocketPath = value
        case "--state": stateDirectory = value
        case "--task-user": taskUser = value
        case "--nvidia-library": nvidiaLibrary = value
        case "--amd-topology": amdTopology = value
        default: nodeName = value
        }
    }

    /// `--name=value` and `--name value` are the same.
    private static func split(_ word: String) -> (String, String?) {
        guard word.hasPrefix("--"), let equals = word.firstIndex(of: "=") else { return (word, nil) }
        return (String(word[..<equals]), String(word[word.index(after: equals)...]))
    }
}
