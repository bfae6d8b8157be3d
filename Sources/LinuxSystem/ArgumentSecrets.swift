// A password in a URL on the command line is there for every user of the machine to see (ps, /proc/PID/cmdline). It cannot be
// taken back, but it need not stay.

import CLinux
import Glibc

extension Host {
    /// Overwrites user and password of every URL among the arguments of this process. To be called once they have been read.
    public static func hidePasswordsInArguments() {
        var index: Int32 = 0
        while let argument = clinux_argument(index) {
            hideUserInformation(in: UnsafeMutableBufferPointer(start: argument, count: strlen(argument)))
            index += 1
        }
    }

    /// What stands between `://` and the last `@` of a word becomes as many stars.
    static func hideUserInformation(in word: UnsafeMutableBufferPointer<CChar>) {
        let (colon, slash, at) = (CChar(0x3A), CChar(0x2F), CChar(0x40))
        guard let end = word.lastIndex(of: at),
            let start = word[..<end].indices.first(where: { index in
                index >= 3 && word[index - 3] == colon && word[index - 2] == slash && word[index - 1] == slash
            })
        else { return }
        for index in start..<end { word[index] = 0x2A }
    }
}
