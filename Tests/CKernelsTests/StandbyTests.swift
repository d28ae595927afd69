import CKernels
import Foundation
import TestSupport
import Testing
import Torch

/// Kernels whose threads stand by for them.
@Suite struct StandbyTests {
  /// Threads that OpenMP, and with it libtorch's own operators, has for this thread's regions.
  private func mostThreads() throws -> Int32 {
    typealias Count = @convention(c) () -> Int32
    return unsafeBitCast(try symbol("omp_get_max_threads"), to: Count.self)()
  }

  private func symbol(_ name: String) throws -> UnsafeMutableRawPointer {
    try #require(dlsym(UnsafeMutableRawPointer(bitPattern: 0), name))
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

  @Test func kernelsHaveTheThreadsAndOperatorsOne() throws {
    Machine.threadCount = 2
    #expect(try mostThreads() == 2)
    #expect(ck_threads_standing_by() == 0)
    let counts = try standingBy { try [mostThreads(), standingBy { ck_threads_standing_by() }] }
    #expect(counts == [1, 2])
    #expect(Machine.threadCount == 2)
    #expect(try mostThreads() == 2)
    #expect(ck_threads_standing_by() == 0)
  }

  /// What a product whose outputs are no whole pieces and a connection's read make on the one thread that a region of the
  /// pool gives a call within.
  private final class Within: @unchecked Sendable {
    let x = Memory(repeating: 0.5, count: 4096), weight = Memory(repeating: 0.25, count: 49 * 4096)
    let y = Memory(repeating: 0, count: 49)
    let arguments: KernelArguments, input: Memory
    let caller = pthread_self()
    let isStandingBy: Bool

    init(isStandingBy: Bool) throws {
      self.isStandingBy = isStandingBy
      arguments = try KernelArguments(m: 2, n: 4, C: 64, N: 700)
      input = arguments.narrow()
    }

    func work() {
      var connection = arguments.connection()
      #expect(ck_connection_read(&connection, 700, arguments.state.pointer, input.pointer, 3))
      var matrix = ck_matrix(form: CK_FLOAT32, outputs: 49, inputs: 4096, values: weight.pointer, scales: nil)
      #expect(ck_narrow_product(1, x.pointer, &matrix, y.pointer, 3))
    }
  }

  @Test(arguments: [false, true]) func fewerThreadsThanAskedForDoAll(isStandingBy: Bool) throws {
    typealias Parallel =
      @convention(c) (
        @convention(c) (UnsafeMutableRawPointer?) -> Void, UnsafeMutableRawPointer?, UInt32, UInt32
      ) -> Void
    let parallel = unsafeBitCast(try symbol("GOMP_parallel"), to: Parallel.self)
    let call = try Within(isStandingBy: isStandingBy)
    // The second thread of the region has nothing to do: what counts is that the first one is in it.
    parallel(
      { context in
        guard let context else { return }
        let call = Unmanaged<Within>.fromOpaque(context).takeUnretainedValue()
        guard pthread_equal(pthread_self(), call.caller) != 0 else { return }
        guard call.isStandingBy else { return call.work() }
        ck_stand_by(
          3,
          { context in
            guard let context else { return }
            let call = Unmanaged<Within>.fromOpaque(context).takeUnretainedValue()
            call.work()
          }, context)
      }, Unmanaged.passUnretained(call).toOpaque(), 2, 0)
    #expect(call.y.elements.allSatisfy { $0 == 512 })
    let alone = call.arguments.narrow()
    var connection = call.arguments.connection()
    #expect(ck_connection_read(&connection, 700, call.arguments.state.pointer, alone.pointer, 1))
    let isAlike = call.input.elements == alone.elements
    #expect(isAlike)
  }

  @Test func whatIsThrownAndWhatFailsIsSaid() throws {
    struct Reason: Error {}
    #expect(throws: Reason.self) { try standingBy { throw Reason() } }
    #expect(message { try? standingBy { _ = Tensor.zeros([2, 3]).linear(.zeros([4, 5])) } }.hasPrefix("linear("))
    #expect(try standingBy { try Tensor.ones([3]).sum().item() } == 3)
  }
}
