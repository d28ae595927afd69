import CKernels
import TestSupport
import Testing
import Torch

/// What the C functions promise beside their numbers.
@Suite struct KernelInterfaceTests {
  private let shapes = [(1, 1, 3, 5), (2, 3, 17, 7), (4, 16, 8, 33), (3, 8, 33, 1)]

  /// It is zero where a pass has not met every word.
  @Test func memoryIsReadToTheLastWord() {
    for threads: Int32 in [1, 2, 3, 7] { #expect(ck_read_bandwidth(6 << 20, threads) > 0) }
    #expect(ck_read_bandwidth(Int64.max / 2, 1) == 0)
  }

  @Test func aWriteAndTheNextReadInOnePass() throws {
    for (m, n, C, N) in shapes {
      let (first, second) = try (
        KernelArguments(m: m, n: n, C: C, N: N), KernelArguments(m: m, n: n, C: C, N: N, seed: 2)
      )
      var (connection, next) = (first.connection(), second.connection())
      let (state, beta, input) = (first.wide(), first.betas(), first.narrow())
      let tokens = Int64(N)
      #expect(
        ck_connection_write(
          &connection, tokens, first.state.pointer, first.output.pointer, state.pointer, beta.pointer, 1))
      #expect(ck_connection_read(&next, tokens, state.pointer, input.pointer, 1))
      let (fusedState, fusedBeta, fusedInput) = (first.wide(), first.betas(), first.narrow())
      #expect(
        ck_connection_write_read(
          &connection, &next, tokens, first.state.pointer, first.output.pointer, fusedState.pointer,
          fusedBeta.pointer, fusedInput.pointer, 1))
      #expect(fusedState.elements == state.elements)
      #expect(fusedBeta.elements == beta.elements)
      #expect(fusedInput.elements == input.elements)
    }
  }

  @Test func twoHalvesOfTheBackwardPassInOne() throws {
    for (m, n, C, N) in shapes {
      let (last, previous) = try (
        KernelArguments(m: m, n: n, C: C, N: N), KernelArguments(m: m, n: n, C: C, N: N, seed: 2)
      )
      var (connection, before) = (last.connection(), previous.connection())
      let tokens = Int64(N)
      let (stateGradient, outputGradient, sums) = (last.wide(), last.narrow(), last.gradients())
      var targets = KernelArguments.targets(sums)
      #expect(
        ck_connection_backward(
          &connection, tokens, last.state.pointer, last.output.pointer, last.inputGradient.pointer,
          last.nextStateGradient.pointer, stateGradient.pointer, &targets, 1))
      #expect(
        ck_connection_write_backward(
          &before, tokens, previous.state.pointer, nil, stateGradient.pointer, outputGradient.pointer, 1))
      let (fusedState, fusedOutput, fusedSums) = (last.wide(), last.narrow(), last.gradients())
      var fusedTargets = KernelArguments.targets(fusedSums)
      #expect(
        ck_connection_backward_write_backward(
          &connection, &before, tokens, last.state.pointer, last.output.pointer, last.inputGradient.pointer,
          last.nextStateGradient.pointer, previous.state.pointer, nil, fusedState.pointer, fusedOutput.pointer,
          &fusedTargets, 1))
      #expect(fusedState.elements == stateGradient.elements)
      #expect(fusedOutput.elements == outputGradient.elements)
      for (one, other) in zip(fusedSums, sums) { #expect(one.elements == other.elements) }
    }
  }

  /// Of more slots than a tile has rows, some would be overwritten while others still need them.
  @Test func aStateGradientMayTakeThePlaceOfTheNextStates() throws {
    for (m, n, C, N) in [(2, 3, 17, 7), (3, 20, 40, 5), (4, 32, 8, 9)] {
      let (last, previous) = try (
        KernelArguments(m: m, n: n, C: C, N: N), KernelArguments(m: m, n: n, C: C, N: N, seed: 2)
      )
      var (connection, before) = (last.connection(), previous.connection())
      func results(in stateGradient: Memory) -> [[Float]] {
        let (outputGradient, sums) = (last.narrow(), last.gradients())
        var targets = KernelArguments.targets(sums)
        #expect(
          ck_connection_backward_write_backward(
            &connection, &before, Int64(N), last.state.pointer, last.output.pointer, last.inputGradient.pointer,
            last.nextStateGradient.pointer, previous.state.pointer, nil, stateGradient.pointer,
            outputGradient.pointer, &targets, 1))
        return [stateGradient.elements, outputGradient.elements] + sums.map(\.elements)
      }
      let apart = results(in: last.wide())
      let inPlace = results(in: last.nextStateGradient)
      #expect(inPlace == apart)
    }
  }

  @Test func savedWriteCoefficientsServeAsWellAsTheState() throws {
    for (m, n, C, N) in shapes {
      let arguments = try KernelArguments(m: m, n: n, C: C, N: N)
      var connection = arguments.connection()
      let (state, beta) = (arguments.wide(), arguments.betas())
      #expect(
        ck_connection_write(
          &connection, Int64(N), arguments.state.pointer, arguments.output.pointer, state.pointer, beta.pointer, 1))
      let (saved, again) = (arguments.narrow(), arguments.narrow(8))
      #expect(
        ck_connection_write_backward(
          &connection, Int64(N), nil, beta.pointer, arguments.nextStateGradient.pointer, saved.pointer, 1))
      #expect(
        ck_connection_write_backward(
          &connection, Int64(N), arguments.state.pointer, nil, arguments.nextStateGradient.pointer, again.pointer, 1))
      let distance = zip(saved.elements, again.elements).map { Swift.abs($0 - $1) }.max() ?? 0
      #expect(distance < 1e-5)
    }
  }

  @Test(arguments: [
    (1, 1, 3, 5), (2, 3, 17, 7), (2, 3, 128, 50), (4, 8, 64, 21), (4, 16, 16, 33), (3, 20, 40, 5), (4, 32, 16, 7),
    (2, 17, 130, 9), (8, 64, 32, 3), (1, 65, 24, 4),
  ])
  func keptProjectionsServeAsWellAsTheState(m: Int, n: Int, C: Int, N: Int) throws {
    let arguments = try KernelArguments(m: m, n: n, C: C, N: N)
    func pass(_ projections: UnsafeMutablePointer<Float>?) -> [[Float]] {
      var connection = arguments.connection(projections: projections)
      let (input, next) = (arguments.narrow(), arguments.wide())
      let (stateGradient, sums) = (arguments.wide(), arguments.gradients())
      var targets = KernelArguments.targets(sums)
      #expect(ck_connection_read(&connection, Int64(N), arguments.state.pointer, input.pointer, 1))
      #expect(
        ck_connection_write(
          &connection, Int64(N), arguments.state.pointer, arguments.output.pointer, next.pointer, nil, 1))
      #expect(
        ck_connection_backward(
          &connection, Int64(N), arguments.state.pointer, arguments.output.pointer, arguments.inputGradient.pointer,
          arguments.nextStateGradient.pointer, stateGradient.pointer, &targets, 1))
      return ([input, next, stateGradient] + sums).map(\.elements)
    }
    var connection = arguments.connection()
    let count = Int(ck_connection_projections(&connection, Int64(N)))
    #expect(count >= N * n * (2 * m + n + 1))
    let without = pass(nil)
    // Memory at any address serves, and nothing is written behind its end.
    for offset in 0..<2 {
      let kept = Memory(repeating: 7, count: offset + count + 1)
      let with = pass(kept.pointer + offset)
      #expect(kept.elements.contains { $0 != 7 })
      #expect(kept.elements[offset + count] == 7)
      #expect(kept.elements.prefix(offset).allSatisfy { $0 == 7 })
      // Projections of some columns alone may be summed up in another order.
      for (one, other) in zip(with, without) { #expect(try relativeError(of: Tensor(one), to: Tensor(other)) < 2e-6) }
    }
    // What is found is used: nothing else of the pass depends on it.
    let nothing = Memory(repeating: 0, count: count)
    connection = arguments.connection(projections: nothing.pointer)
    let stateGradient = arguments.wide()
    #expect(
      ck_connection_backward(
        &connection, Int64(N), arguments.state.pointer, arguments.output.pointer, arguments.inputGradient.pointer,
        arguments.nextStateGradient.pointer, stateGradient.pointer, [ck_connection_gradients()], 1))
    let differs = stateGradient.elements != without[2]
    #expect(differs)
  }

  @Test func projectionsAreKeptWhereTheyAreNotSeveralTimesTheState() throws {
    func count(_ connection: ck_connection, _ tokens: Int64 = 100) -> Int64 {
      var connection = connection
      return ck_connection_projections(&connection, tokens)
    }
    let arguments = try KernelArguments(m: 4, n: 32, C: 64, N: 1)
    var connection = arguments.connection()
    // 41 numbers a slot, and less than a register of them to begin with a whole one.
    let most: Int64 = 100 * 32 * 41 + 15
    #expect((most - 15...most).contains(count(connection)))
    #expect(count(connection, 0) == 0)
    #expect(count(arguments.connection(C: 14)) > 0)
    #expect(count(arguments.connection(C: 13)) == 0)
    connection.dynamic_alpha = nil
    #expect(count(connection) == 0)
  }

  @Test func gradientsOfWeightsAreAdded() throws {
    let arguments = try KernelArguments(m: 2, n: 3, C: 17, N: 7)
    var connection = arguments.connection()
    let (stateGradient, sums) = (arguments.wide(), arguments.gradients())
    var targets = KernelArguments.targets(sums)
    func run(_ targets: UnsafePointer<ck_connection_gradients>) {
      #expect(
        ck_connection_backward(
          &connection, 7, arguments.state.pointer, arguments.output.pointer, arguments.inputGradient.pointer,
          arguments.nextStateGradient.pointer, stateGradient.pointer, targets, 1))
    }
    run(&targets)
    let once = sums.map(\.elements)
    #expect(once.allSatisfy { $0.contains { $0 != 0 } })
    run(&targets)
    for (one, both) in zip(once, sums.map(\.elements)) {
      #expect(try relativeError(of: Tensor(both), to: Tensor(one.map { 2 * $0 })) < 1e-6)
    }
    // Nobody has to want them all.
    let twice = sums[0].elements
    var some = ck_connection_gradients()
    some.gain = sums[6].pointer
    run(&some)
    #expect(sums[0].elements == twice)
  }

  @Test func impossibleSizesAreRefusedBeforeAnythingIsWritten() throws {
    let arguments = try KernelArguments(m: 2, n: 3, C: 4, N: 5)
    let (wide, narrow) = (arguments.wide(), arguments.narrow())
    func refuses(_ connection: ck_connection, _ tokens: Int64 = 5) -> Bool {
      var connection = connection
      let read = ck_connection_read(&connection, tokens, arguments.state.pointer, narrow.pointer, 1)
      let write = ck_connection_write(
        &connection, tokens, arguments.state.pointer, arguments.output.pointer, wide.pointer, nil, 1)
      let backward = ck_connection_write_backward(
        &connection, tokens, arguments.state.pointer, nil, arguments.nextStateGradient.pointer, narrow.pointer, 1)
      return !read && !write && !backward
    }
    #expect(refuses(arguments.connection(m: 0)))
    #expect(refuses(arguments.connection(m: 4)))
    #expect(refuses(arguments.connection(m: -1, n: -1)))
    #expect(refuses(arguments.connection(C: 0)))
    #expect(refuses(arguments.connection(n: .max)))
    #expect(refuses(arguments.connection(C: .max)))
    #expect(refuses(arguments.connection(), -1))
    var (own, other) = (arguments.connection(), arguments.connection(C: 2))
    #expect(
      !ck_connection_write_read(
        &own, &other, 5, arguments.state.pointer, arguments.output.pointer, wide.pointer, nil, narrow.pointer, 1))
    #expect(!ck_rms_norm(-1, 4, wide.pointer, narrow.pointer, 1e-5, wide.pointer, nil, 1))
    #expect(!ck_rms_norm(2, 0, wide.pointer, narrow.pointer, 1e-5, wide.pointer, nil, 1))
    #expect(wide.elements.allSatisfy { $0 == 7 })
    #expect(narrow.elements.allSatisfy { $0 == 7 })
  }

  @Test func noTokensAreNoWork() throws {
    let arguments = try KernelArguments(m: 2, n: 3, C: 4, N: 5)
    var connection = arguments.connection()
    let (wide, narrow) = (arguments.wide(), arguments.narrow())
    #expect(ck_connection_read(&connection, 0, nil, narrow.pointer, 1))
    #expect(ck_connection_write(&connection, 0, nil, nil, wide.pointer, nil, 1))
    #expect(ck_rms_norm(0, 4, nil, nil, 1e-5, wide.pointer, nil, 1))
    #expect(wide.elements.allSatisfy { $0 == 7 })
    #expect(narrow.elements.allSatisfy { $0 == 7 })
  }

  /// Shares of threads differ in the order of sums alone, and are the same every time.
  @Test(arguments: [1, 2, 3, 8]) func threadsShareTheTokens(threads: Int32) throws {
    let arguments = try KernelArguments(m: 2, n: 4, C: 64, N: 700)
    var connection = arguments.connection()
    func run(_ threads: Int32) -> [[Float]] {
      let (stateGradient, sums) = (arguments.wide(), arguments.gradients())
      var targets = KernelArguments.targets(sums)
      #expect(
        ck_connection_backward(
          &connection, 700, arguments.state.pointer, arguments.output.pointer, arguments.inputGradient.pointer,
          arguments.nextStateGradient.pointer, stateGradient.pointer, &targets, threads))
      return [stateGradient.elements] + sums.map(\.elements)
    }
    let (found, alone) = (run(threads), run(1))
    // Who does a share is a matter of chance.
    let isAlwaysAlike = (0..<20).allSatisfy { _ in found == run(threads) }
    #expect(isAlwaysAlike)
    let areTokensAlone = found[0] == alone[0]
    #expect(areTokensAlone, "tokens do not depend on each other")
    for (one, other) in zip(found, alone) {
      #expect(try relativeError(of: Tensor(one), to: Tensor(other)) < 1e-5)
    }
  }

  @Test func unknownVectorCodeIsRefused() {
    let before = String(cString: ck_vector_code())
    #expect(["avx512vnni", "avx512", "avx2", "portable"].contains(before))
    #expect(ck_supported_vector_code(0).map { String(cString: $0) } != nil)
    #expect(ck_supported_vector_code(4) == nil)
    #expect(!ck_use_vector_code("avx1024"))
    #expect(String(cString: ck_vector_code()) == before)
  }
}
