import WidebandCheckedInput
import WidebandDistributed

extension ProcessGroup {
  /// Runs `body` in every process, and goes on in all or in none: an error of one ends all.
  ///
  /// - Throws: this process's error; otherwise `DistributedError` with the first other process's.
  public func together<Value>(_ body: () throws -> Value) throws -> Value {
    let result = Result { try body() }
    var own = ""
    if case .failure(let error) = result { own = "\(error)" }
    let sentences = try allGather(own)
    let value = try result.get()
    if let rank = sentences.firstIndex(where: { !$0.isEmpty }) {
      throw DistributedError.rankFailed("\(name(of: rank)): \(sentences[rank])")
    }
    return value
  }
}
