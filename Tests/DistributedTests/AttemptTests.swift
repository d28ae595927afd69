import Foundation
import Testing

@testable import WidebandDistributed

/// How ranks agree on their attempt, in a store that earlier attempts have used.
@Suite struct AttemptTests {
  private let store: Store

  init() throws { store = try Store() }

  /// The attempt that a process on a host joins.
  private func join(
    _ host: String, _ rank: Int, of size: Int, within time: Duration = .seconds(20)
  ) throws -> Attempt {
    try Attempt(of: Arrival(host: host, address: "127.0.0.1", size: size), rank: rank, in: store, within: time)
  }

  /// Joins as some ranks, each a thread that begins after a delay. Returns hosts, or the sentence of the error, by process.
  private func outcomes(
    _ processes: [(host: String, rank: Int, delay: Double)], of size: Int, within time: Duration = .seconds(20)
  ) -> [[String]] {
    let results = Results(count: processes.count)
    let running = DispatchGroup()
    for (index, process) in processes.enumerated() {
      running.enter()
      Thread {
        defer { running.leave() }
        Thread.sleep(forTimeInterval: process.delay)
        do {
          let attempt = try join(process.host, process.rank, of: size, within: time)
          try attempt.store.set("joined/\(process.rank)", process.host)
          results.set(index, attempt.arrivals.map(\.host))
        } catch { results.set(index, ["\(error)"]) }
      }.start()
    }
    running.wait()
    return results.all
  }

  @Test("every rank has all arrivals, and each attempt a store of its own") func attempts() throws {
    for names in [["a", "b", "c"], ["b", "c", "d", "e"], ["f", "g"]] {
      let processes = names.enumerated().map { ($1, $0, 0.0) }
      #expect(outcomes(processes, of: names.count) == names.map { _ in names })
    }
    let first = try store.under(store.get("attempt", within: .seconds(1)))
    #expect(try first.missing("joined", of: 0..<4) == [2, 3])
  }

  @Test("what an earlier attempt wrote is not taken for a rank that has arrived") func staleArrivals() {
    #expect(outcomes([("a", 0, 0), ("b", 1, 0)], of: 2) == [["a", "b"], ["a", "b"]])
    #expect(outcomes([("c", 0, 0), ("d", 1, 1)], of: 2) == [["c", "d"], ["c", "d"]])
    #expect(outcomes([("e", 0, 1), ("f", 1, 0)], of: 2) == [["e", "f"], ["e", "f"]])
  }

  @Test("a rank that is started again before the others have arrived takes the place of the first one")
  func secondArrival() {
    let found = outcomes([("a", 0, 0), ("b", 1, 0), ("again", 1, 1), ("c", 2, 2)], of: 3)
    #expect(
      found == [
        ["a", "again", "c"],
        ["rank 1 (b) has arrived a second time (again): expected one process for each rank"],
        ["a", "again", "c"], ["a", "again", "c"],
      ])
  }

  @Test("all that have arrived name the ranks that have not") func absentRanks() {
    let sentence = "ranks 2 and 3 of 4 did not arrive within 1 s"
    #expect(outcomes([("a", 0, 0), ("b", 1, 0)], of: 4, within: .seconds(1)) == [[sentence], [sentence]])
    #expect(
      outcomes([("a", 1, 0)], of: 2, within: .seconds(1)) == [["rank 0 of 2 did not arrive within 1 s"]])
  }

  @Test("a rank that died after an earlier attempt is named, though its arrival is there") func staleRank() {
    #expect(outcomes([("a", 0, 0), ("b", 1, 0)], of: 2).count == 2)
    #expect(
      outcomes([("c", 0, 0)], of: 2, within: .seconds(1)) == [["rank 1 of 2 did not arrive within 1 s"]])
  }

  @Test("worlds of different sizes are refused by both") func sizes() throws {
    let other = Results(count: 1)
    let done = DispatchSemaphore(value: 0)
    Thread {
      do { _ = try join("b", 1, of: 2) } catch { other.set(0, ["\(error)"]) }
      done.signal()
    }.start()
    let sentence = "rank 1 (b) belongs to a world of 2 ranks, and rank 0 (a) to one of 3"
    #expect(throws: DistributedError.notStarted(sentence)) { try join("a", 0, of: 3) }
    done.wait()
    #expect(other.all == [[sentence]])
  }
}

/// Results of threads.
private final class Results: @unchecked Sendable {
  private let lock = NSLock()
  private var values: [[String]]

  init(count: Int) { values = Array(repeating: [], count: count) }

  func set(_ index: Int, _ value: [String]) { lock.withLock { values[index] = value } }

  var all: [[String]] { lock.withLock { values } }
}
