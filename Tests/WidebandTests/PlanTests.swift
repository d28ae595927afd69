import Foundation
import Testing

@testable import WidebandCLI

/// The output and the flags of `wideband plan`; TrainingTests compares its numbers with those computed by hand.
struct PlanTests {
  private let workspace: Workspace

  init() throws { workspace = try .shared() }

  private func plan(_ arguments: String...) throws -> Executable.Result {
    try Executable.run(["plan", "--recipe", workspace("recipe.yaml")] + arguments)
  }

  @Test("memory, times and the table of machines") func report() throws {
    let result = try plan(
      "--set", "training.rows_per_batch=1", "--nodes", "4", "--bandwidth", "100Mb/s", "--device", "cpu", "--peak",
      "50GFLOP/s", "--memory", "1GB"
    ).succeeding()
    for part in [
      "128 tokens in 4 batches, 1 a rank", "4 on processors, machines: 4", "fits in 1GB", "Gloo", "moments, a shard",
      "exposed exchange", "1 machine ", "2 machines", "4 machines", "efficiency",
    ] {
      #expect(result.output.contains(part), "\(part)")
    }
    #expect(result.errors == "")
  }

  @Test("what cannot be predicted is named") func errors() throws {
    let recipe = workspace("recipe.yaml")
    expectError(
      try plan("--nodes", "3", "--bandwidth", "1Gb/s", "--device", "cpu", "--peak", "50GFLOP/s"),
      "\(recipe): the number of batches of a step is 1 (training.tokens_per_step, sequence_length and rows_per_batch): "
        + "expected a multiple of the number of ranks, 3")
    expectError(
      try plan("--nodes", "2", "--bandwidth", "1Gb/s"),
      "--peak is missing: expected the peak of a GPU, as in 989TFLOP/s, or --device cpu", status: 64)
    expectError(
      try plan("--nodes", "0", "--bandwidth", "1Gb/s"), "--nodes is 0: expected from 1 to 65536", status: 64)
    expectError(
      try plan("--nodes", "1", "--bandwidth", "1Gb/s", "--utilization", "1.5"),
      "--utilization is 1.5: expected more than 0, at most 1", status: 64)
  }

  @Test("rates have a unit, in which b are bits") func rates() throws {
    #expect(try BitRate(parsing: "100Gb/s").bytesPerSecond == 12.5e9)
    #expect(try BitRate(parsing: "1Gb/s").bytesPerSecond == 125e6)
    #expect(try BitRate(parsing: "2.5Mb/s").bytesPerSecond == 312_500)
    #expect(try OperationRate(parsing: "989TFLOP/s").perSecond == 989e12)
    for text in ["100GB/s", "100", "Gb/s", "-1Gb/s", "nanGb/s", "0Gb/s", "1e3Gb/s", "1..5Gb/s", "1 Gb/s"] {
      #expect((try? BitRate(parsing: text)) == nil, "\(text)")
    }
  }
}
