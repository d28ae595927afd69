import Foundation
import Testing
import WidebandTorch

#if os(Linux)
  /// Each test runs in a separate process, so that other tests do not change the resident size.
  @Suite struct LeakTests {
    @Test func trainingStepsKeepTheResidentSize() async {
      await #expect(processExitsWith: .success) {
        Machine.prepare()
        Machine.threadCount = 1
        let run = try TinyRun()
        for _ in 0..<400 { try run.step() }
        let before = try residentBytes()
        for _ in 0..<2_000 { try run.step() }
        let growth = try residentBytes() - before
        // A leak of one tensor of 8 KiB per step would be 16 MB, of one handle of 64 bytes per operator 6 MB.
        #expect(growth < 3_000_000, "grew by \(growth) bytes")
      }
    }

    @Test func failedOperatorsKeepTheResidentSize() async {
      await #expect(processExitsWith: .success) {
        Machine.threadCount = 1
        let a = Tensor.zeros([32, 33])
        func fail(_ count: Int) { for _ in 0..<count { _ = try? withTorch { (a + 1.0).matmul(a).tanh() } } }
        fail(2_000)
        let before = try residentBytes()
        fail(10_000)
        let growth = try residentBytes() - before
        #expect(growth < 2_000_000, "grew by \(growth) bytes")
      }
    }
  }

  /// A training step with embedding, norms, attention, indexing of experts, losses and an update.
  private struct TinyRun {
    let table: Tensor
    let gain: Tensor
    let weight: Tensor

    init() throws {
      table = try random(50, 64).requiringGradient()
      gain = try random(64, seed: 2).requiringGradient()
      weight = try random(64, 64, seed: 3).requiringGradient()
    }

    func step() throws {
      let tokens = Tensor((0..<32).map { Int64($0) })
      try withTorch {
        let x = table.embedding(tokens).rmsNorm(gain, epsilon: 1e-6)
        let heads = x.linear(weight).reshaped(1, 32, 4, 16).transposed(1, 2)
        let mixed = Tensor.attention(heads, heads, heads, causal: true).transposed(1, 2).reshaped(32, 64)
        let (share, chosen) = (x + mixed).softmax(-1).topK(2)
        let sums = Tensor.zeros([64, 2]).addingRows(chosen.select(1, 0), share)
        let normal = mixed.groupNorm(groups: 4, weight: gain, bias: gain, epsilon: 1e-6)
        let logits = Tensor.concatenate([normal, mixed.silu()]).linear(table)
        let loss = logits.slice(0, 0..<32).crossEntropy(tokens) + sums.sum() + logits.mean()
        loss.backward()
        try withoutGradients {
          for parameter in [table, gain, weight] {
            guard let gradient = parameter.gradient else { throw TorchError("no gradient") }
            parameter.copy(from: parameter - gradient * 1e-4)
            parameter.clearGradient()
          }
        }
        guard try loss.item().isFinite else { throw TorchError("the loss is not finite") }
      }
    }
  }

  /// Bytes of this process in memory.
  private func residentBytes() throws -> Int {
    let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { throw TorchError("/proc/self/statm has another form") }
    return pages * sysconf(Int32(_SC_PAGESIZE))
  }
#endif
