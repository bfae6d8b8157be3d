// Compressed bytes, as `zstd` writes and reads them. A file is one frame after another, so that something can be added at its end.

import CZstd
import LinuxSystem

/// Compresses what is written, into a file.
final class ZstdWriter {
    /// As the program's own default.
    private static let level: Int32 = 3

    private let context: OpaquePointer
    private let file: SharedDescriptor
    private let name: String
    private var compressed = [UInt8](repeating: 0, count: ZSTD_CStreamOutSize())

    /// - Parameter name: of the file, for whoever reads of it.
    init(_ file: SharedDescriptor, named name: String) throws(CommandError) {
        guard let context = ZSTD_createCCtx() else { throw .failed("\(name): there is no memory to compress with") }
        self.context = context
        self.file = file
        self.name = name
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Self.level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }

    deinit { ZSTD_freeCCtx(context) }

    func write(_ bytes: [UInt8]) throws(CommandError) { try compress(bytes, ZSTD_e_continue) }

    /// The end of the frame.
    func finish() throws(CommandError) { try compress([], ZSTD_e_end) }

    private func compress(_ bytes: [UInt8], _ directive: ZSTD_EndDirective) throws(CommandError) {
        var position = 0
        while true {
            let (rest, count) = step(bytes, &position, directive)
            guard ZSTD_isError(rest) == 0 else {
                throw .failed("\(name): zstd: \(String(cString: ZSTD_getErrorName(rest)))")
            }
            if count > 0 {
                do throws(SystemError) {
                    try file.writeAll(Array(compressed[..<count]), subject: name)
                } catch {
                    throw .failed("\(error)")
                }
            }
            if directive == ZSTD_e_end ? rest == 0 : position == bytes.count { return }
        }
    }

    private func step(_ bytes: [UInt8], _ position: inout Int, _ directive: ZSTD_EndDirective) -> (
        rest: Int, count: Int
    ) {
        bytes.withUnsafeBytes { source in
            compressed.withUnsafeMutableBytes { target in
                var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: position)
                var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                let rest = ZSTD_compressStream2(context, &output, &input, directive)
                position = input.pos
                return (rest, output.pos)
            }
        }
    }
}

/// Reads a compressed file a piece at a time.
final class ZstdReader {
    private let context: OpaquePointer
    private let file: SharedDescriptor
    private let path: String
    private var offset: Int64 = 0
    private var piece: [UInt8] = []
    private var position = 0
    private var plain = [UInt8](repeating: 0, count: ZSTD_DStreamOutSize())
    /// A frame has begun and not ended.
    private var isWithinFrame = false

    init(path: String) throws(CommandError) {
        guard let context = ZSTD_createDCtx() else { throw .failed("\(path): there is no memory to read it with") }
        self.context = context
        self.path = path
        do throws(SystemError) {
            file = SharedDescriptor(try OwnedDescriptor.open(path, [.readOnly]))
        } catch {
            throw .usage("\(error)")
        }
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Empty at the end.
    func next() throws(CommandError) -> [UInt8] {
        while true {
            if position == piece.count, try !readPiece() {
                guard !isWithinFrame else { throw .failed("\(path) is not whole: it ends in the middle") }
                return []
            }
            let (rest, count) = step()
            guard ZSTD_isError(rest) == 0 else {
                throw .failed("\(path) cannot be read: zstd: \(String(cString: ZSTD_getErrorName(rest)))")
            }
            isWithinFrame = rest != 0
            if count > 0 { return Array(plain[..<count]) }
        }
    }

    private func readPiece() throws(CommandError) -> Bool {
        do throws(SystemError) {
            piece = try file.read(at: offset, count: ZSTD_DStreamInSize(), subject: path)
        } catch {
            throw .failed("\(error)")
        }
        (position, offset) = (0, offset + Int64(piece.count))
        return !piece.isEmpty
    }

    private func step() -> (rest: Int, count: Int) {
        piece.withUnsafeBytes { source in
            plain.withUnsafeMutableBytes { target in
                var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: position)
                var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
                let rest = ZSTD_decompressStream(context, &output, &input)
                position = input.pos
                return (rest, output.pos)
            }
        }
    }
}
