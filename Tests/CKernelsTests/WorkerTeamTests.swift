import Foundation
import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// Kernels on a worker team.
@Suite struct WorkerTeamTests {
  /// Threads that OpenMP, and with it libtorch's own operators, has for this thread's regions.
  private func maximumThreads() throws -> Int32 {
    typealias Count = @convention(c) () -> Int32
    return unsafeBitCast(try symbol("omp_get_max_threads"), to: Count.self)()
  }

  private func symbol(_ name: String) throws -> UnsafeMutableRawPointer {
    try #require(dlsym(UnsafeMutableRawPointer(bitPattern: 0), name))
  }

  /// The results of a few kernels that run on several threads.
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

  /// `body` with a worker team: the process has one set of workers, which tests that run at the same time also take, so
  /// it waits until they are free.
  private func withOwnTeam<Result>(_ body: () throws -> Result) throws -> Result {
    let deadline = ContinuousClock.now + .seconds(300)
    while ContinuousClock.now < deadline {
      let result = try withWorkerTeam { ck_worker_team_threads() > 0 ? try body() : nil }
      if let result { return result }
      Thread.sleep(forTimeInterval: 0.001)
    }
    throw POSIXError(.ETIMEDOUT)
  }

  @Test func resultsAreTheSame() throws {
    for threads in [1, 2, 3, 5] {
      Machine.threadCount = threads
      defer { Machine.threadCount = 2 }
      // The second time the order of the weights is predicted, and their memory is reused.
      for seed in [1, 2, 1] as [UInt64] {
        let alone = try work(seed: seed)
        let onTeam = try threads == 1 ? withWorkerTeam { try work(seed: seed) } : withOwnTeam { try work(seed: seed) }
        for (one, other) in zip(alone, onTeam) { #expect(try areIdentical(one, other), "\(threads) threads") }
      }
    }
  }

  @Test func kernelsHaveTheThreadsAndOperatorsOne() throws {
    Machine.threadCount = 2
    #expect(try maximumThreads() == 2)
    #expect(ck_worker_team_threads() == 0)
    let counts = try withOwnTeam { try [maximumThreads(), withWorkerTeam { ck_worker_team_threads() }] }
    #expect(counts == [1, 2])
    #expect(Machine.threadCount == 2)
    #expect(try maximumThreads() == 2)
    #expect(ck_worker_team_threads() == 0)
  }

  /// A product whose outputs do not divide into pieces and a connection's read, on the one thread that a call within a
  /// region of the pool has.
  private final class Within: @unchecked Sendable {
    let x = Memory(repeating: 0.5, count: 4096), weight = Memory(repeating: 0.25, count: 49 * 4096)
    let y = Memory(repeating: 0, count: 49)
    let arguments: KernelArguments, input: Memory
    let caller = pthread_self()
    let asksForTeam: Bool

    init(asksForTeam: Bool) throws {
      self.asksForTeam = asksForTeam
      arguments = try KernelArguments(m: 2, n: 4, C: 64, N: 700)
      input = arguments.narrow()
    }

    func work() {
      #expect(
        forward(
          reader: arguments.connection(), tokens: 700, state: arguments.state.pointer, input: input, threads: 3))
      let matrix = ck_matrix(format: CK_FLOAT32, outputs: 49, inputs: 4096, values: weight.pointer, scales: nil)
      #expect(multiply(ck_skinny_gemm, matrix, rows: 1, x.pointer, into: y.pointer, threads: 3))
    }
  }

  @Test(arguments: [false, true]) func fewerThreadsThanAskedForDoAll(asksForTeam: Bool) throws {
    typealias Parallel =
      @convention(c) (
        @convention(c) (UnsafeMutableRawPointer?) -> Void, UnsafeMutableRawPointer?, UInt32, UInt32
      ) -> Void
    let parallel = unsafeBitCast(try symbol("GOMP_parallel"), to: Parallel.self)
    let call = try Within(asksForTeam: asksForTeam)
    // The second thread of the region has nothing to do: what counts is that the first one is in it.
    parallel(
      { context in
        guard let context else { return }
        let call = Unmanaged<Within>.fromOpaque(context).takeUnretainedValue()
        guard pthread_equal(pthread_self(), call.caller) != 0 else { return }
        guard call.asksForTeam else { return call.work() }
        // Within a region of the pool there is no team to be had, and kernels run as without one.
        #expect(!ck_worker_team_begin(3))
        call.work()
      }, Unmanaged.passUnretained(call).toOpaque(), 2, 0)
    #expect(call.y.elements.allSatisfy { $0 == 512 })
    let alone = call.arguments.narrow()
    #expect(
      forward(reader: call.arguments.connection(), tokens: 700, state: call.arguments.state.pointer, input: alone))
    let isAlike = call.input.elements == alone.elements
    #expect(isAlike)
  }

  @Test func whatIsThrownAndWhatFailsIsSaid() throws {
    struct Reason: Error {}
    #expect(throws: Reason.self) { try withWorkerTeam { throw Reason() } }
    #expect(message { try? withWorkerTeam { _ = Tensor.zeros([2, 3]).linear(.zeros([4, 5])) } }.hasPrefix("linear("))
    #expect(try withWorkerTeam { try Tensor.ones([3]).sum().item() } == 3)
  }
}
