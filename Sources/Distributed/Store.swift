import WidebandCTorch
import WidebandTorch

/// Texts by key that all ranks share. A store of libtorch has a lock of its own, but one thread that waits makes the
/// others wait: each thread has its own connection.
final class Store: @unchecked Sendable {
  let pointer: OpaquePointer

  private init(_ pointer: OpaquePointer?) throws(StoreError) {
    guard let pointer else { throw StoreError() }
    self.pointer = pointer
  }

  deinit { wb_store_release(pointer) }

  /// The store at the master, which this process serves or connects to.
  convenience init(at master: World.Master, serves: Bool, within time: Duration) throws(StoreError) {
    try self.init(
      wb_store_connect(master.host, Int32(clamping: master.port), serves, time.inSeconds))
  }

  /// A store within this process.
  convenience init() throws(StoreError) { try self.init(wb_store_create()) }

  /// The same store by a further connection.
  func clone() throws(StoreError) -> Store { try Store(wb_store_clone(pointer)) }

  /// The part of the store whose keys have a prefix.
  func under(_ prefix: String) throws(StoreError) -> Store { try Store(wb_store_under(pointer, prefix)) }

  func set(_ key: String, _ text: String) throws(StoreError) {
    guard wb_store_set(pointer, key, text) else { throw StoreError() }
  }

  /// The text of a key, for which it waits.
  func get(_ key: String, within time: Duration) throws(StoreError) -> String {
    guard let text = wb_store_get(pointer, key, time.inSeconds) else { throw StoreError() }
    return String(cString: text)
  }

  func has(_ key: String) throws(StoreError) -> Bool {
    let answer = wb_store_has(pointer, key)
    guard answer >= 0 else { throw StoreError() }
    return answer == 1
  }

  /// Those of some ranks that have not written a key, "key/rank".
  func missing(_ key: String, of ranks: some Sequence<Int>) throws(StoreError) -> [Int] {
    var missing: [Int] = []
    for rank in ranks where try !has("\(key)/\(rank)") { missing.append(rank) }
    return missing
  }
}

/// The last failure of a store on this thread.
struct StoreError: Error {
  let reason = lastError()
}
