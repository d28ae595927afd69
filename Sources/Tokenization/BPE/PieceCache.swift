import WidebandCheckedInput

/// A cache of the ids of recent pieces, in bounded memory.
///
/// A direct-mapped table: a new piece replaces the one in its slot. When the text or the ids reach their bound, the
/// cache is cleared.
struct PieceCache {
  /// The maximum length of a cached piece in bytes; longer pieces rarely repeat.
  static let maximumLength = 48

  private static let slotCount = 1 << 15
  private static let maximumText = 1 << 20
  private static let maximumIDs = 1 << 18

  private struct Slot {
    var hash: UInt64 = 0
    var textStart: Int32 = 0
    var idStart: Int32 = 0
    var textCount: UInt16 = 0
    var idCount: UInt16 = 0
  }

  private var slots = [Slot](repeating: Slot(), count: slotCount)
  private var text: [UInt8] = []
  private var ids: [TokenID] = []

  /// Appends the ids of `piece` if they are cached; false otherwise.
  @inline(__always)
  func append(_ piece: Bytes, _ hash: UInt64, to output: inout [TokenID]) -> Bool {
    let slot = slots[Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)]
    guard slot.hash == hash, Int(slot.textCount) == piece.count else { return false }
    let start = Int(slot.textStart)
    for offset in 0..<piece.count where text[start + offset] != piece[offset] { return false }
    for index in Int(slot.idStart)..<Int(slot.idStart) + Int(slot.idCount) { output.append(ids[index]) }
    return true
  }

  /// Stores the ids of a piece of at most `maximumLength` bytes.
  mutating func store(_ piece: Bytes, _ hash: UInt64, _ newIDs: ArraySlice<TokenID>) {
    if text.count + piece.count > Self.maximumText || ids.count + newIDs.count > Self.maximumIDs {
      for index in slots.indices { slots[index].textCount = 0 }
      text.removeAll(keepingCapacity: true)
      ids.removeAll(keepingCapacity: true)
    }
    slots[Int(truncatingIfNeeded: hash) & (Self.slotCount - 1)] = Slot(
      hash: hash, textStart: Int32(text.count), idStart: Int32(ids.count), textCount: UInt16(piece.count),
      idCount: UInt16(newIDs.count))
    text.append(contentsOf: piece)
    ids.append(contentsOf: newIDs)
  }
}
