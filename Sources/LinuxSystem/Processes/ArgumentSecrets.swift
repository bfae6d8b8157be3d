// A password in a URL on the command line is there for every user of the machine to see (ps, /proc/PID/cmdline). It cannot be
// taken back, but it need not stay.

import CLinux
import Glibc

extension Host {
    /// Overwrites user and password of every URL among the arguments of this process, and what follows `option`, the name of an
    /// option that takes a password. To be called once they have been read.
    public static func hidePasswordsInArguments(after option: String? = nil) {
        var index: Int32 = 0
        var isPassword = false
        while let argument = clinux_argument(index) {
            let word = UnsafeMutableBufferPointer(start: argument, count: strlen(argument))
            if isPassword { hide(word[...]) }
            isPassword = option.map { hideValue(of: $0, in: word) } ?? false
            hideUserInformation(in: word)
            index += 1
        }
    }

    /// Whether the next word is the value of `option`; one in this word, behind an equals sign, becomes as many stars.
    static func hideValue(of option: String, in word: UnsafeMutableBufferPointer<CChar>) -> Bool {
        let name = option.utf8.map { CChar(bitPattern: $0) }
        guard word.starts(with: name) else { return false }
        if word.count > name.count, word[name.count] == 0x3D { hide(word[(name.count + 1)...]) }
        return word.count == name.count
    }

    private static func hide(_ characters: Slice<UnsafeMutableBufferPointer<CChar>>) {
        for index in characters.indices { characters.base[index] = 0x2A }
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
