import Foundation

/// What a rank says of itself when it arrives.
struct Arrival: Equatable {
  /// Different for every process: so that a rank that is started again is a new arrival.
  let token: String
  let host: String
  let address: String
  let size: Int

  init(host: String, address: String, size: Int) {
    (token, self.host, self.address, self.size) = (UUID().uuidString, host, address, size)
  }

  init?(text: Substring) {
    let fields = text.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard fields.count == 4, let size = Int(fields[3]) else { return nil }
    (token, host, address, self.size) = (fields[0], fields[1], fields[2], size)
  }

  var text: String { "\(token)\t\(host)\t\(address)\t\(size)" }
}

/// An attempt to run, to which all ranks agree that they belong.
///
/// A launcher's store outlives the attempts, with all that they wrote, and no variable tells them apart: of torchrun's
/// agents, one that starts its processes again because another machine did so does not count that. So each rank writes an
/// arrival that no other process has. Rank 0 names an attempt and lists the arrivals that it has found. A rank that is on
/// the list confirms it, which a process of an earlier attempt cannot do; when all have, the attempt begins. If a process
/// is started again before, rank 0 finds another arrival, and names another attempt.
struct Attempt {
  /// The store of this attempt alone.
  let store: Store
  /// The arrivals of all ranks.
  let arrivals: [Arrival]

  /// How often a rank looks.
  private static let interval: TimeInterval = 0.1
  /// How long the store may take for a text that is there.
  private static let patience = Duration.seconds(10)
  /// How much longer than rank 0 the others wait, so that they hear its reason.
  private static let grace = Duration.seconds(2)

  private init(store: Store, arrivals: [Arrival]) { (self.store, self.arrivals) = (store, arrivals) }

  /// Waits for all ranks.
  ///
  /// - Parameters:
  ///   - store: the store that all attempts have in common.
  ///   - time: how long to wait.
  ///   - start: since when.
  /// - Throws: `DistributedError.notStarted`, which is the same on all ranks that rank 0 has found; `StoreError`.
  init(of own: Arrival, rank: Int, in store: Store, within time: Duration, since start: ContinuousClock.Instant = .now)
    throws
  {
    try store.set("arrival/\(rank)", own.text)
    self = try rank == 0 ? Self.named(by: own, store, time, start) : Self.confirmed(by: own, rank, store, time, start)
  }

  /// The part of rank 0.
  private static func named(
    by own: Arrival, _ store: Store, _ time: Duration, _ start: ContinuousClock.Instant
  ) throws -> Attempt {
    var listed: [Arrival?] = []
    var attempt = store
    while true {
      let isOver = .now >= start + time
      let found = try (0..<own.size).map { try arrival(of: $0, store) }
      try requireOnce(own, 0, found[0])
      // One of a world of another size may be the only one that comes.
      let isOdd = found.contains { $0.map { $0.size != own.size } ?? false }
      if found != listed, isOver || isOdd || !found.contains(nil) {
        listed = found
        let name = UUID().uuidString
        attempt = try store.under(name)
        try attempt.set("list", found.map { $0?.text ?? "" }.joined(separator: "\n"))
        try store.set("attempt", name)
      }
      if !listed.isEmpty, let outcome = try outcome(listed, attempt, isOver ? time : nil) {
        try attempt.set("outcome", outcome)
        guard outcome.isEmpty else { throw DistributedError.notStarted(outcome) }
        return Attempt(store: attempt, arrivals: listed.compactMap(\.self))
      }
      Thread.sleep(forTimeInterval: interval)
    }
  }

  /// Empty if the attempt begins, a sentence if there can be none, nil as long as that is open.
  ///
  /// - Parameter time: how long rank 0 has waited, if that is all the time.
  private static func outcome(
    _ listed: [Arrival?], _ attempt: Store, _ time: Duration?
  ) throws(StoreError) -> String? {
    let unconfirmed = try attempt.missing("confirmed", of: 1..<listed.count)
    for (rank, arrival) in listed.enumerated() where !unconfirmed.contains(rank) {
      guard let arrival, arrival.size != listed.count else { continue }
      return "rank \(rank) (\(arrival.host)) belongs to a world of \(arrival.size) ranks, and "
        + "rank 0 (\(listed[0]?.host ?? "")) to one of \(listed.count)"
    }
    if unconfirmed.isEmpty { return "" }
    let absent = listed.indices.filter { listed[$0] == nil }
    return time.map { sentence(ofAbsent: absent.isEmpty ? unconfirmed : absent, of: listed.count, $0) }
  }

  /// The part of the other ranks.
  private static func confirmed(
    by own: Arrival, _ rank: Int, _ store: Store, _ time: Duration, _ start: ContinuousClock.Instant
  ) throws -> Attempt {
    var name = ""
    var attempt: Attempt?
    while true {
      let current = try store.has("attempt") ? store.get("attempt", within: patience) : ""
      if current != name {
        name = current
        let new = try store.under(name)
        let list = try new.get("list", within: patience).split(separator: "\n", omittingEmptySubsequences: false)
          .map(Arrival.init(text:))
        let isListed = list.indices.contains(rank) && list[rank] == own
        attempt = isListed ? Attempt(store: new, arrivals: list.compactMap(\.self)) : nil
        if isListed { try new.set("confirmed/\(rank)", "") }
      }
      if let attempt, try attempt.store.has("outcome") {
        let outcome = try attempt.store.get("outcome", within: patience)
        guard outcome.isEmpty else { throw DistributedError.notStarted(outcome) }
        return attempt
      }
      try requireOnce(own, rank, arrival(of: rank, store))
      if .now >= start + time + grace {
        let absent = try store.missing("arrival", of: 0..<own.size)
        throw DistributedError.notStarted(sentence(ofAbsent: absent.isEmpty ? [0] : absent, of: own.size, time))
      }
      Thread.sleep(forTimeInterval: interval)
    }
  }

  private static func arrival(of rank: Int, _ store: Store) throws(StoreError) -> Arrival? {
    let key = "arrival/\(rank)"
    return try store.has(key) ? Arrival(text: store.get(key, within: patience)[...]) : nil
  }

  /// Checks that no other process has arrived as this rank.
  private static func requireOnce(_ own: Arrival, _ rank: Int, _ found: Arrival?) throws {
    guard let found, found != own else { return }
    throw DistributedError.notStarted(
      "rank \(rank) (\(own.host)) has arrived a second time (\(found.host)): expected one process for each rank")
  }

  private static func sentence(ofAbsent ranks: [Int], of size: Int, _ time: Duration) -> String {
    "\(ranks.count == 1 ? "rank" : "ranks") \(list(ranks.map(String.init))) of \(size) did not arrive within "
      + time.text
  }
}
