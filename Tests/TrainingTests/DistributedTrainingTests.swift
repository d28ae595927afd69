import Foundation
import TestSupport
import Testing
import WidebandDistributed
import WidebandTorch

@testable import WidebandData
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
  ///
  /// - Parameter data: the name of the data's folder; nil for plain text.
  private func run(
    _ name: String, _ recipe: String, _ changes: [String], processes: Int, until last: Int = .max, data: String? = nil
  ) throws {
    let folder = folder
    _ = try TrainerFixture(in: folder, recipe, changes)
    @Sendable func run(in group: ProcessGroup?) throws {
      let fixture = try TrainerFixture(in: folder, recipe, changes)
      try (data.map { try fixture.trained(on: folder($0)) } ?? fixture)
        .run(name, in: group, shouldStop: { $0 >= last })
    }
    if processes == 1 { return try run(in: nil) }
    try ProcessGroup.threads(processes) { try run(in: $0) }
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

  @Test(
    "packed conversations with uneven numbers of targets give the weights of one process", arguments: ["plain", "wide"])
  func everyMicroBatch_conversations(recipe: String) throws {
    let lines = try (0..<40).map { number in
      let messages = ["q\(number)", "a" + String(repeating: "!", count: number % 4 == 0 ? 27 : number % 3)]
      return String(decoding: try JSONEncoder().encode(["messages": messages]), as: UTF8.self)
    }
    try folder.write("chat.jsonl", text: lines.joined(separator: "\n\n"))
    var options = DataPreparation.Options()
    options.validationFraction = 0.2
    _ = try DataPreparation([folder("chat.jsonl")], encoder: ByteEncoder(), options: options).run(into: folder("chat"))
    let train = try TokenDataset(folder: folder("chat"), split: .train)
    let counts = try (0..<4).map { row in
      try train.batch(step: 0, rows: 4, part: row..<(row + 1), length: 32, seed: 1).targets.elements(Int64.self)
        .count { $0 >= 0 }
    }
    #expect(Set(counts).count > 1)

    try run("one", recipe, Self.exact, processes: 1, data: "chat")
    for count in [2, 4] {
      try run("\(count)", recipe, Self.exact, processes: count, data: "chat")
      let file = "checkpoints/step-00000006/model.safetensors"
      #expect(try bytes("\(count)/\(file)") == bytes("one/\(file)"), "\(count) processes")
      #expect(try metrics("\(count)", recipe) == metrics("one", recipe), "\(count) processes")
    }
  }

  @Test(
    "every process has the evaluation of one process alone, by phase too",
    arguments: [
      ("plain", nil), ("wide", nil), ("mixture", nil),
      (
        "wide",
        "direct_decoding={encoding_layers: 0, decoding_layers: 1, gate: select, cycles: [2], objective: cross_entropy, "
          + "frozen: []}"
      ),
    ] as [(String, String?)])
  func evaluation_equalsOneProcess(recipe: String, change: String?) throws {
    let folder = folder
    let changes = ["training.rows_per_batch=1", "training.tokens_per_step=384"] + (change.map { [$0] } ?? [])
    let one = try TrainerFixture(in: folder, recipe, changes).trainer().evaluate()
    #expect((one.phaseLosses == nil) == (change == nil) && one.tokenCount > 200)
    for count in 1...3 {
      try ProcessGroup.threads(count) { group in
        let evaluation = try TrainerFixture(in: folder, recipe, changes).trainer(in: group).evaluate()
        #expect(evaluation == one, "\(count) processes")
      }
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

  @Test("a process has the moments of its share to the byte, as the plan says", arguments: ["plain", "wide"], 2...4)
  func moments_areShared(recipe: String, count: Int) throws {
    let folder = folder
    let changes = [
      "training.rows_per_batch=1", "training.tokens_per_step=384", "model.hidden_size=64",
      "model.intermediate_size=256",
    ]
    let fixture = try TrainerFixture(in: folder, recipe, changes)
    let cluster = Cluster(.cpu, nodes: count, ranksPerNode: 1, lineRate: 1, peakOperations: 1, utilization: 1)
    let plan = try #require(ScalingPlan(ScalingPlan.Work(fixture.recipe), on: cluster))
    let planned = try #require(plan.memory.first { $0.name == "moments, a shard" }).bytes
    try ProcessGroup.threads(count) { group in
      let optimizer = try TrainerFixture(in: folder, recipe, changes).trainer(in: group).optimizer
      let pieces = (optimizer.layout.count + ShardLayout.piece - 1) / ShardLayout.piece
      #expect(pieces > count)
      let share = (pieces + count - 1) / count * ShardLayout.piece
      #expect(optimizer.momentArrays.map { $0.count * $0.dtype.size } == [4 * share, 4 * share])
      #expect(planned == Double(8 * share))
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
    let folder = folder
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
