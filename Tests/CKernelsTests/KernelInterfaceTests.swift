import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// What the C functions promise apart from their results.
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
      let (connection, next) = (first.connection(), second.connection())
      let (state, write, input) = (first.wide(), first.betas(), first.narrow())
      #expect(
        forward(
          writer: connection, tokens: N, state: first.state.pointer, output: first.output, nextState: state,
          savedWrite: write))
      #expect(forward(reader: next, tokens: N, state: state.pointer, input: input))
      let (fusedState, fusedWrite, fusedInput) = (first.wide(), first.betas(), first.narrow())
      #expect(
        forward(
          writer: connection, reader: next, tokens: N, state: first.state.pointer, output: first.output,
          nextState: fusedState, savedWrite: fusedWrite, input: fusedInput))
      #expect(fusedState.elements == state.elements)
      #expect(fusedWrite.elements == write.elements)
      #expect(fusedInput.elements == input.elements)
    }
  }

  @Test func twoHalvesOfTheBackwardPassInOne() throws {
    for (m, n, C, N) in shapes {
      let (last, previous) = try (
        KernelArguments(m: m, n: n, C: C, N: N), KernelArguments(m: m, n: n, C: C, N: N, seed: 2)
      )
      let (connection, before) = (last.connection(), previous.connection())
      let savedWrite = try #require(previous.savedWrite())
      let (stateGradient, outputGradient, sums) = (last.wide(), last.narrow(), last.gradients())
      #expect(
        last.backward(connection, stateGradient: stateGradient, gradients: KernelArguments.targets(sums)))
      #expect(
        backward(
          writer: before, tokens: N, savedWrite: savedWrite, nextStateGradient: stateGradient,
          outputGradient: outputGradient))
      let (fusedState, fusedOutput, fusedSums) = (last.wide(), last.narrow(), last.gradients())
      #expect(
        last.backward(
          connection, stateGradient: fusedState, gradients: KernelArguments.targets(fusedSums),
          writer: (before, savedWrite, fusedOutput)))
      #expect(fusedState.elements == stateGradient.elements)
      #expect(fusedOutput.elements == outputGradient.elements)
      for (one, other) in zip(fusedSums, sums) { #expect(one.elements == other.elements) }
    }
  }

  /// Of more slots than a tile has rows, some would be overwritten while others still need them.
  @Test func aStateGradientMayReplaceThatOfTheNextState() throws {
    for (m, n, C, N) in [(2, 3, 17, 7), (3, 20, 40, 5), (4, 32, 8, 9)] {
      let (last, previous) = try (
        KernelArguments(m: m, n: n, C: C, N: N), KernelArguments(m: m, n: n, C: C, N: N, seed: 2)
      )
      let savedWrite = previous.savedWrite()
      func results(in stateGradient: Memory) -> [[Float]] {
        let (outputGradient, sums) = (last.narrow(), last.gradients())
        #expect(
          last.backward(
            last.connection(), stateGradient: stateGradient, gradients: KernelArguments.targets(sums),
            writer: (previous.connection(), savedWrite, outputGradient)))
        return [stateGradient.elements, outputGradient.elements] + sums.map(\.elements)
      }
      let apart = results(in: last.wide())
      let inPlace = results(in: last.nextStateGradient)
      #expect(inPlace == apart)
    }
  }

  @Test func anOutputsGradientIsTheSavedWriteTimesThatOfTheNextState() throws {
    for (m, n, C, N) in shapes {
      let arguments = try KernelArguments(m: m, n: n, C: C, N: N)
      let (write, found) = (try #require(arguments.savedWrite()), arguments.narrow())
      #expect(
        backward(
          writer: arguments.connection(), tokens: N, savedWrite: write, nextStateGradient: arguments.nextStateGradient,
          outputGradient: found))
      let expected = try withTorch {
        try Tensor(write.elements).reshaped([N, m, n]).matmul(
          Tensor(arguments.nextStateGradient.elements).reshaped([N, n, C]))
      }
      #expect(try relativeError(of: Tensor(found.elements).reshaped([N, m, C]), to: expected) < 1e-6)
    }
  }

  @Test(arguments: [
    (1, 1, 3, 5), (2, 3, 17, 7), (2, 3, 128, 50), (4, 8, 64, 21), (4, 16, 16, 33), (3, 20, 40, 5), (4, 32, 16, 7),
    (2, 17, 130, 9), (8, 64, 32, 3), (1, 65, 24, 4),
  ])
  func savedProjectionsServeAsWellAsTheState(m: Int, n: Int, C: Int, N: Int) throws {
    let arguments = try KernelArguments(m: m, n: n, C: C, N: N)
    func pass(_ projections: UnsafeMutablePointer<Float>?) -> [[Float]] {
      let connection = arguments.connection(projections: projections)
      let (input, next) = (arguments.narrow(), arguments.wide())
      let (stateGradient, sums) = (arguments.wide(), arguments.gradients())
      #expect(forward(reader: connection, tokens: N, state: arguments.state.pointer, input: input))
      #expect(
        forward(
          writer: connection, tokens: N, state: arguments.state.pointer, output: arguments.output, nextState: next))
      #expect(
        arguments.backward(connection, stateGradient: stateGradient, gradients: KernelArguments.targets(sums)))
      return ([input, next, stateGradient] + sums).map(\.elements)
    }
    var connection = arguments.connection()
    let count = Int(ck_connection_projection_count(&connection, Int64(N)))
    #expect(count >= N * n * (2 * m + n + 1))
    let without = pass(nil)
    // Memory may have any address, and nothing is written after its end.
    for offset in 0..<2 {
      let saved = Memory(repeating: 7, count: offset + count + 1)
      let with = pass(saved.pointer + offset)
      #expect(saved.elements.contains { $0 != 7 })
      #expect(saved.elements[offset + count] == 7)
      #expect(saved.elements.prefix(offset).allSatisfy { $0 == 7 })
      // Projections of some columns alone may be summed up in another order.
      for (one, other) in zip(with, without) { #expect(try relativeError(of: Tensor(one), to: Tensor(other)) < 2e-6) }
    }
    // Saved projections are used: nothing else of the pass depends on them.
    let nothing = Memory(repeating: 0, count: count)
    connection = arguments.connection(projections: nothing.pointer)
    let stateGradient = arguments.wide()
    #expect(arguments.backward(connection, stateGradient: stateGradient, gradients: ck_connection_gradients()))
    let differs = stateGradient.elements != without[2]
    #expect(differs)
  }

  @Test func projectionsAreSavedWhereTheyAreNotSeveralTimesTheState() throws {
    func count(_ connection: ck_connection, _ tokens: Int64 = 100) -> Int64 {
      var connection = connection
      return ck_connection_projection_count(&connection, tokens)
    }
    let arguments = try KernelArguments(m: 4, n: 32, C: 64, N: 1)
    var connection = arguments.connection()
    // 41 floats a slot, and less than a register of them for alignment.
    let maximum: Int64 = 100 * 32 * 41 + 15
    #expect((maximum - 15...maximum).contains(count(connection)))
    #expect(count(connection, 0) == 0)
    #expect(count(arguments.connection(C: 14)) > 0)
    #expect(count(arguments.connection(C: 13)) == 0)
    connection.dynamic_read_carry = nil
    #expect(count(connection) == 0)
  }

  @Test func gradientsOfWeightsAreAdded() throws {
    let arguments = try KernelArguments(m: 2, n: 3, C: 17, N: 7)
    let (stateGradient, sums) = (arguments.wide(), arguments.gradients())
    let targets = KernelArguments.targets(sums)
    func run(_ targets: ck_connection_gradients) {
      #expect(arguments.backward(arguments.connection(), stateGradient: stateGradient, gradients: targets))
    }
    run(targets)
    let once = sums.map(\.elements)
    #expect(once.allSatisfy { $0.contains { $0 != 0 } })
    run(targets)
    for (one, both) in zip(once, sums.map(\.elements)) {
      #expect(try relativeError(of: Tensor(both), to: Tensor(one.map { 2 * $0 })) < 1e-6)
    }
    // Any of them may be null.
    let twice = sums[0].elements
    var some = ck_connection_gradients()
    some.gain = sums[6].pointer
    run(some)
    #expect(sums[0].elements == twice)
  }

  @Test func impossibleSizesAreRefusedBeforeAnythingIsWritten() throws {
    let arguments = try KernelArguments(m: 2, n: 3, C: 4, N: 5)
    let (wide, narrow) = (arguments.wide(), arguments.narrow())
    func refuses(_ connection: ck_connection, _ tokens: Int = 5) -> Bool {
      let state = UnsafePointer(arguments.state.pointer)
      let isRead = forward(reader: connection, tokens: tokens, state: state, input: narrow)
      let isWritten = forward(
        writer: connection, tokens: tokens, state: state, output: arguments.output, nextState: wide)
      let isDerived = backward(
        writer: connection, tokens: tokens, savedWrite: arguments.betas(),
        nextStateGradient: arguments.nextStateGradient, outputGradient: narrow)
      return !isRead && !isWritten && !isDerived
    }
    #expect(refuses(arguments.connection(m: 0)))
    #expect(refuses(arguments.connection(m: 4)))
    #expect(refuses(arguments.connection(m: -1, n: -1)))
    #expect(refuses(arguments.connection(C: 0)))
    #expect(refuses(arguments.connection(n: .max)))
    #expect(refuses(arguments.connection(C: .max)))
    #expect(refuses(arguments.connection(), -1))
    #expect(
      !forward(
        writer: arguments.connection(), reader: arguments.connection(C: 2), tokens: 5, state: arguments.state.pointer,
        output: arguments.output, nextState: wide, input: narrow))
    #expect(!forward(tokens: 5, state: arguments.state.pointer, input: narrow), "no connection")
    #expect(
      !backward(
        writer: arguments.connection(), tokens: 5, savedWrite: nil, nextStateGradient: arguments.nextStateGradient,
        outputGradient: narrow))
    for (rows, width) in [(-1, 4), (2, 0)] as [(Int64, Int64)] {
      var norm = ck_rms_norm_args(
        rows: rows, width: width, x: wide.pointer, weight: narrow.pointer, epsilon: 1e-5, y: wide.pointer, scale: nil)
      #expect(!ck_rms_norm(&norm, 1))
    }
    #expect(wide.elements.allSatisfy { $0 == 7 })
    #expect(narrow.elements.allSatisfy { $0 == 7 })
  }

  @Test func noTokensAreNoWork() throws {
    let arguments = try KernelArguments(m: 2, n: 3, C: 4, N: 5)
    let (wide, narrow) = (arguments.wide(), arguments.narrow())
    #expect(forward(reader: arguments.connection(), tokens: 0, state: nil, input: narrow))
    #expect(forward(writer: arguments.connection(), tokens: 0, state: nil, nextState: wide))
    var norm = ck_rms_norm_args(rows: 0, width: 4, x: nil, weight: nil, epsilon: 1e-5, y: wide.pointer, scale: nil)
    #expect(ck_rms_norm(&norm, 1))
    #expect(wide.elements.allSatisfy { $0 == 7 })
    #expect(narrow.elements.allSatisfy { $0 == 7 })
  }

  /// Shares of threads differ in the order of sums alone, and are the same every time.
  @Test(arguments: [1, 2, 3, 8]) func threadsShareTheTokens(threads: Int32) throws {
    let arguments = try KernelArguments(m: 2, n: 4, C: 64, N: 700)
    func run(_ threads: Int32) -> [[Float]] {
      let (stateGradient, sums) = (arguments.wide(), arguments.gradients())
      #expect(
        arguments.backward(
          arguments.connection(), stateGradient: stateGradient, gradients: KernelArguments.targets(sums),
          threads: threads))
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
