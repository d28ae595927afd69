import CKernels
import Foundation
import TestSupport
import Testing
import Torch

/// Kernels whose threads stand by for them.
@Suite struct StandbyTests {
  private func threadCount() throws -> Int32 {
    typealias Count = @convention(c) () -> Int32
    let address = try #require(dlsym(UnsafeMutableRawPointer(bitPattern: 0), "omp_get_num_threads"))
    return unsafeBitCast(address, to: Count.self)()
  }

  /// What a few kernels that share their work out make of some numbers.
  private func work(seed: UInt64) throws -> [Tensor] {
    let random = try RandomTensors(seed: seed)
    let (x, gate, up) = (random.normal(3, 300), random.normal(700, 300), random.normal(700, 300))
    let down = random.normal(300, 700)
    return try withTorch {
      withoutGradients {
        let inner = x.linear(gate).silu() * x.linear(up)
        let output = inner.linear(down)
        let wide = random.normal(40, 2048).rmsNorm(.full([2048], 2), epsilon: 1e-5)
        return [output, wide, output.linear(gate)]
      }
    }
  }

  @Test func resultsAreTheSame() throws {
    for threads in [1, 2, 3, 5] {
      Machine.threadCount = threads
      defer { Machine.threadCount = 2 }
      // The second time the order of the weights is known, and their memory another's.
      for seed in [1, 2, 1] as [UInt64] {
        let alone = try work(seed: seed)
        let standing = try standingBy { try work(seed: seed) }
        for (one, other) in zip(alone, standing) { #expect(try areIdentical(one, other), "\(threads) threads") }
      }
    }
  }

  @Test func theThreadsAreTakenOnceForAll() throws {
    Machine.threadCount = 2
    #expect(try threadCount() == 1)
    let counts = try standingBy { try [threadCount(), standingBy { try threadCount() }] }
    #expect(counts == [2, 2])
    #expect(try threadCount() == 1)
  }

  @Test func whatIsThrownAndWhatFailsIsSaid() throws {
    struct Reason: Error {}
    #expect(throws: Reason.self) { try standingBy { throw Reason() } }
    #expect(message { try? standingBy { _ = Tensor.zeros([2, 3]).linear(.zeros([4, 5])) } }.hasPrefix("linear("))
    #expect(try standingBy { try Tensor.ones([3]).sum().item() } == 3)
  }
}
