// Bytes in one direction of a proxied connection, some of them held up on their way.

/// What was received and not passed on yet, in order, each piece with the moment before which it stays here.
struct Flow {
    private var pieces: [(bytes: ArraySlice<UInt8>, dueNanoseconds: Int64)] = []
    private var byteCount = 0
    /// Whether the receiver took less than was due: it is to be watched for room.
    private(set) var isBlocked = false

    /// No more is received while so much is held: a sender that is not read from must wait, as with any other network.
    private static let bytesMax = 1 << 20

    var isEmpty: Bool { pieces.isEmpty }
    var hasRoom: Bool { byteCount < Self.bytesMax }
    /// When the next piece may travel; nil when there is none or the receiver has no room for it.
    var nextDueNanoseconds: Int64? { isBlocked ? nil : pieces.first?.dueNanoseconds }

    /// Nothing overtakes: a piece behind one that is held up waits with it.
    mutating func add(_ bytes: ArraySlice<UInt8>, notBeforeNanoseconds moment: Int64) {
        guard !bytes.isEmpty else { return }
        pieces.append((bytes, max(moment, pieces.last?.dueNanoseconds ?? moment)))
        byteCount += bytes.count
    }

    /// Passes on what is due. False when the receiver has gone.
    mutating func pass(to descriptor: Int32, now: Int64) -> Bool {
        isBlocked = false
        while let piece = pieces.first, piece.dueNanoseconds <= now {
            guard let count = SocketEnd.send(descriptor, piece.bytes) else { return false }
            byteCount -= count
            if count < piece.bytes.count {
                pieces[0].bytes = piece.bytes.dropFirst(count)
                isBlocked = true
                return true
            }
            pieces.removeFirst()
        }
        return true
    }

    mutating func clear() { self = Flow() }
}
