import Testing
import WidebandCheckedInput
import WidebandDecoding

@testable import WidebandServing

@Suite("The prefix cache")
struct PrefixCacheTests {
  private let snapshot: KVSnapshot

  init() throws {
    let session = try DecodingSession(smallModel().model)
    _ = try session.prefill([0, 1])
    snapshot = try #require(try session.snapshot(0..<2))
  }

  /// A cache for some chunks of two tokens.
  private func cache(_ chunks: Int) -> PrefixCache { PrefixCache(limit: chunks * snapshot.byteCount) }

  /// Processes a prompt: the number of its chunks at the start that the cache had, and whether it has all of them now.
  private func process(_ prompt: [TokenID], _ cache: inout PrefixCache) -> (found: Int, isKept: Bool) {
    var position: PrefixCache.Position? = cache.begin()
    var found = 0
    for start in stride(from: 0, to: prompt.count, by: 2) {
      guard let current = position else { break }
      let tokens = prompt[start..<start + 2]
      if let hit = cache.find(tokens, at: current) {
        found += 1
        position = hit.next
      } else {
        position = cache.insert(tokens, at: current, snapshot)
      }
    }
    return (found, position != nil)
  }

  @Test("chunks are found in their order alone")
  func chunks_areFound() {
    var cache = cache(3)
    #expect(process([1, 2, 3, 4], &cache) == (0, true))
    #expect(process([1, 2, 3, 4], &cache) == (2, true))
    #expect(process([3, 4], &cache) == (0, true))
    #expect(process([3, 4], &cache) == (1, true) && cache.byteCount == 3 * snapshot.byteCount)
  }

  @Test("the prompt used least recently goes first, from its end")
  func oldPrompts_goFirst() {
    var cache = cache(4)
    #expect(process([1, 1, 2, 2], &cache) == (0, true))
    #expect(process([3, 3, 4, 4, 5, 5], &cache) == (0, true))
    #expect(process([1, 1], &cache) == (1, true), "its first chunk is left")
    #expect(process([6, 6], &cache) == (0, true))
    #expect(process([3, 3, 4, 4], &cache) == (2, true) && cache.byteCount == 4 * snapshot.byteCount)
  }

  @Test("a prompt does not take the place of its own beginning")
  func longPrompts_areKeptFromTheirStart() {
    var cache = cache(2)
    let prompt: [TokenID] = [1, 1, 2, 2, 3, 3, 4, 4]
    #expect(process(prompt, &cache) == (0, false))
    #expect(process(prompt, &cache) == (2, false))
    #expect(process([5, 5, 6, 6, 7, 7], &cache) == (0, false))
    #expect(process([5, 5, 6, 6, 7, 7], &cache) == (2, false) && cache.byteCount == 2 * snapshot.byteCount)
  }

  @Test("a chunk that is inserted again is used")
  func insertedChunks_areUsed() {
    var cache = cache(2)
    #expect(process([1, 1], &cache) == (0, true) && process([2, 2], &cache) == (0, true))
    let position = cache.begin()
    #expect(cache.insert([1, 1], at: position, snapshot) != nil)
    #expect(process([3, 3], &cache) == (0, true))
    #expect(process([1, 1], &cache) == (1, true))
  }

  @Test("a cache without place keeps nothing")
  func none_isKept() {
    var cache = cache(0)
    #expect(process([1, 2], &cache) == (0, false) && cache.byteCount == 0)
  }
}
