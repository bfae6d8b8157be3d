// How values are spread, in one line: a block for each part of their range, the higher the more lie there.

import LinuxSystem

struct Blocks: Equatable {
    /// How many parts are drawn.
    static let columns = 32

    /// From the lowest to the highest.
    private let levels: [Character]

    static let unicode = Blocks(levels: Array("▁▂▃▄▅▆▇█"))
    static let ascii = Blocks(levels: Array(".:-=+*#@"))

    /// Blocks where characters are UTF-8, see locale(7).
    static var forLocale: Blocks { isUTF8 { Host.environment($0) } ? unicode : ascii }

    static func isUTF8(_ environment: (String) -> String?) -> Bool {
        let names = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment($0) }
        let locale = (names.first { !$0.isEmpty } ?? "").lowercased()
        return locale.contains("utf-8") || locale.contains("utf8")
    }

    /// A character for each count: a blank for none, and something for one beside a million.
    func line(_ counts: [Int]) -> String {
        let most = counts.max() ?? 0
        return String(
            counts.map { count in
                count == 0 ? " " : levels[(count * levels.count - 1) / most]
            })
    }
}
