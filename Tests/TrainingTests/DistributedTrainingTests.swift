import Foundation
import TestSupport
import Testing
import WidebandDistributed
import WidebandTorch

@testable import WidebandTraining

/// Several processes that train together, here as threads of one.
@Suite("Training in several processes")
struct DistributedTrainingTests {
  /// A step of four batches.
  private static let batches = ["training.rows_per_batch=1", "training.steps=6", "checkpoint.interval=3"]
  private static let exact = batches + ["distributed={exchange: every_micro_batch}"]

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Runs or resumes a run of `processes`; stops after a step.
  private func run(
    _ name: String, _ recipe: String, _ changes: [String], processes: Int, until last: Int = .max
  ) throws {
    nonisolated(unsafe) let folder = folder
    _ = try TrainerFixture(in: folder, recipe, changes)
    if processes == 1 {
      return try TrainerFixture(in: folder, recipe, changes).run(name, shouldStop: { $0 >= last })
    }
    try ProcessGroup.threads(processes) { group in
      try TrainerFixture(in: folder, recipe, changes).run(name, in: group, shouldStop: { $0 >= last })
    }
  }

  private func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: folder(name))) }

  private func metrics(_ name: String, _ recipe: String) throws -> [[String: Double]] {
    try TrainerFixture(in: folder, recipe, Self.exact).metrics(name)
  }

  @Test(
    "an exchange after every batch gives the weights and metrics of one process",
    arguments: ["plain", "wide", "mixture"])
  func everyMicroBatch_equalsOneProcess(recipe: String) throws {
    try run("one", recipe, Self.exact, processes: 1)
    for count in [2, 4] {
      try run("\(count)", recipe, Self.exact, processes: count)
      for step in [3, 6] {
        let file = "checkpoints/step-0000000\(step)/model.safetensors"
        #expect(try bytes("\(count)/\(file)") == bytes("one/\(file)"), "\(count) processes, step \(step)")
      }
      #expect(try metrics("\(count)", recipe) == metrics("one", recipe), "\(count) processes")
    }
  }

  @Test("an exchange after the last batch gives the losses of one process but for rounding")
  func lastMicroBatch_isClose() throws {
    try run("one", "wide", Self.batches, processes: 1)
    try run("two", "wide", Self.batches, processes: 2)
    let (one, two) = (try metrics("one", "wide"), try metrics("two", "wide"))
    #expect(one.count == 6 && two.count == 6)
    for (first, second) in zip(one, two) {
      for (name, value) in first {
        let other = try #require(second[name])
        #expect(abs(value - other) <= 1e-4 * max(1, abs(value)), "\(name)")
      }
    }
  }

  @Test(
    "a resumed run is the uninterrupted one; another number of processes reads its checkpoint", arguments: [1, 2, 4])
  func checkpoints_areResumed(by count: Int) throws {
    try run("whole", "wide", Self.exact, processes: 2)
    try run("parts", "wide", Self.exact, processes: 2, until: 3)
    let names = try folder.names("parts/checkpoints/step-00000003")
    #expect(names.contains("optimizer-00001-of-00002.safetensors") && !names.contains("optimizer.safetensors"))
    try run("parts", "wide", Self.exact, processes: count)
    let file = "checkpoints/step-00000006/model.safetensors"
    #expect(try bytes("parts/\(file)") == bytes("whole/\(file)"))
    #expect(try metrics("parts", "wide") == metrics("whole", "wide"))
  }

  @Test("a checkpoint of one process is read by several") func checkpointOfOne_isRead() throws {
    try run("whole", "wide", Self.exact, processes: 1)
    try run("parts", "wide", Self.exact, processes: 1, until: 3)
    try run("parts", "wide", Self.exact, processes: 4)
    let file = "checkpoints/step-00000006/model.safetensors"
    #expect(try bytes("parts/\(file)") == bytes("whole/\(file)"))
  }

  @Test("each process has the moments of its share") func moments_areShared() throws {
    nonisolated(unsafe) let folder = folder
    _ = try TrainerFixture(in: folder, "wide", Self.batches)
    try ProcessGroup.threads(3) { group in
      var changes = Self.batches
      changes.append("training.tokens_per_step=192")
      let trainer = try TrainerFixture(in: folder, "wide", changes).trainer(in: group)
      let pieces = (trainer.optimizer.layout.count + ShardLayout.piece - 1) / ShardLayout.piece
      #expect(
        trainer.optimizer.momentArrays.map(\.count)
          == Array(repeating: (pieces + 2) / 3 * ShardLayout.piece, count: 2))
    }
  }

  @Test("a damaged or missing file of a shard is named") func shards_areChecked() throws {
    try run("run", "plain", Self.batches, processes: 2)
    let path = "run/checkpoints/step-00000006"
    let name = "\(path)/optimizer-00001-of-00002.safetensors"
    var damaged = try bytes(name)
    damaged[damaged.count - 1] ^= 1
    try damaged.write(to: URL(filePath: folder(name)))
    #expect(
      message { try run("run", "plain", Self.batches, processes: 1) }.hasPrefix("\(folder(name)): is not the file of "))
    try FileManager.default.removeItem(atPath: folder(name))
    #expect(message { try run("run", "plain", Self.batches, processes: 1) }.hasPrefix("\(folder(name)): "))
  }

  @Test("batches that cannot be shared out are refused") func batches_areRefused() throws {
    let fixture = try TrainerFixture(in: folder, "wide", Self.batches)
    #expect(throws: Never.self) { try fixture.recipe.requireShares(of: 2, on: .cpu) }
    #expect(
      message { try fixture.recipe.requireShares(of: 3, on: .cpu) }
        == "training: a step has 4 batches of 1 rows (tokens_per_step, sequence_length, rows_per_batch): expected a "
        + "multiple of 3, the number of processes")
  }

  @Test("a process with other weights is named") func weights_areCompared() throws {
    nonisolated(unsafe) let folder = folder
    _ = try TrainerFixture(in: folder, "plain", Self.batches)
    let caught = Lock([String]())
    try ProcessGroup.threads(2) { group in
      let trainer = try TrainerFixture(in: folder, "plain", Self.batches).trainer(in: group)
      try trainer.requireSameWeights()
      if group.rank == 1 { try withTorch { withoutGradients { trainer.optimizer.weights[0].tensor.fill(0) } } }
      do { try trainer.requireSameWeights() } catch { caught.withValue { $0.append("\(error)") } }
    }
    let messages = caught.withValue { $0 }
    #expect(messages.count == 2 && messages[0] == messages[1])
    #expect(messages.first?.hasPrefix("the weights' checksum of rank 1 (thread 1) is ") == true)
  }

  @Test("an error in one process ends all") func errors_endAll() throws {
    let caught = Lock([Int: String]())
    try ProcessGroup.threads(3) { group in
      do {
        try group.together { if group.rank == 1 { throw TrainingError.notFinite("disk full") } }
      } catch { caught.withValue { $0[group.rank] = "\(error)" } }
    }
    let messages = caught.withValue { $0 }
    #expect(messages.count == 3 && messages[1] == "disk full")
    #expect(messages[0]?.hasSuffix("disk full") == true && messages[0]?.hasPrefix("rank 1") == true)
    #expect(messages[0] == messages[2])
  }
}

/// A value that threads share.
private final class Lock<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value

  init(_ value: Value) { self.value = value }

  func withValue<Result>(_ body: (inout Value) -> Result) -> Result { lock.withLock { body(&value) } }
}
