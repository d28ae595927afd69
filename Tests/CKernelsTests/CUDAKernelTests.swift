import CUDAEmulation
import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch
import WidebandVirtualWidth

/// The GPU's kernels, run on the processor thread by thread, against the processor's own.
///
/// The sums of gradients differ in their order alone. In bfloat16 the results are rounded to it, and tensor cores round
/// coefficients, maps and their gradients too, each to one part in 512 at most.
@Suite struct CUDAKernelTests {
  @Test(arguments: 0..<Int(cuda_emulation_count())) func kernelsAgreeWithTheProcessor(program: Int) throws {
    let subject = try EmulatedConnection(Int32(program))
    for (name, error) in try subject.forwardErrors() + subject.backwardErrors() {
      let tolerance = subject.isRounded ? 5e-3 : 2e-6
      #expect(error <= tolerance, "\(subject): \(name) has a relative error of \(error)")
    }
  }

  /// What the programs are is what decides which code of the kernels runs.
  @Test func everyClassOfKernelIsThere() {
    let all = (0..<cuda_emulation_count()).map(cuda_emulation_describe)
    for isTensor in [false, true] {
      let some = all.filter { $0.uses_tensor_cores == isTensor }
      #expect(Set(some.map(\.is_dynamic)).count == 2)
      #expect(Set(some.map(\.keeps_sums)).count == 2)
      #expect(Set(some.map(\.forward_stages)) == [1, 2])
      #expect(Set(some.map(\.backward_stages)) == [1, 2])
      #expect(!isTensor || Set(some.map(\.keeps_maps_in_registers)).count == 2)
      #expect(isTensor || Set(some.map(\.element_bytes)) == [2, 4])
    }
  }

  @Test(arguments: [0, 8] as [Int32]) func gradientsAreTheSameEveryTime(program: Int32) throws {
    let subject = try EmulatedConnection(program)
    let (first, second) = try (subject.gradients(blocks: 3), subject.gradients(blocks: 3))
    #expect(first.map(\.elements) == second.map(\.elements))
    // More blocks than tokens: those left over add nothing.
    for (one, other) in try zip(first, subject.gradients(blocks: 9)) {
      #expect(try relativeError(of: Tensor(other.elements), to: Tensor(one.elements)) < 1e-5)
    }
  }
}

/// A connection's arguments in the elements of a program, and rounded to those for the processor's kernels.
private struct EmulatedConnection: CustomStringConvertible {
  let program: Int32
  let description: String
  let isRounded: Bool
  private let kind: cuda_emulation
  private let own, next: KernelArguments
  private let write: Memory
  /// What the kernels are given.
  private let given: (state: Elements, output: Elements, inputGradient: Elements, nextState: Elements, write: Elements)

  private static let tokens: Int64 = 5

  init(_ program: Int32) throws {
    self.program = program
    kind = cuda_emulation_describe(program)
    isRounded = kind.element_bytes == 2
    let (m, n, C) = (Int(kind.fraction_rate), Int(kind.slots), Int(kind.slot_width))
    description = "(\(m), \(n)) C \(C) \(isRounded ? "bfloat16" : "float32")"
    own = try KernelArguments(m: m, n: n, C: C, N: Int(Self.tokens))
    next = try KernelArguments(m: m, n: n, C: C, N: Int(Self.tokens), seed: 2)
    write = try Memory(RandomTensors(seed: 3).normal(Int(Self.tokens), m, n))
    let bytes = Int(kind.element_bytes)
    func rounded(_ memory: Memory) -> Elements {
      let elements = Elements(memory, bytes: bytes)
      for (index, value) in elements.floats.enumerated() { memory.pointer[index] = value }
      return elements
    }
    given = (
      rounded(own.state), rounded(own.output), rounded(own.inputGradient), rounded(own.nextStateGradient),
      rounded(write)
    )
  }

  private func connection(_ arguments: KernelArguments) -> ck_connection {
    var connection = arguments.connection()
    if !kind.is_dynamic {
      (connection.dynamic_read_carry, connection.dynamic_write) = (nil, nil)
      (connection.read_carry_scale, connection.write_scale, connection.gain) = (nil, nil, nil)
    }
    return connection
  }

  private func empty(_ like: Memory) -> Elements { Elements(like, bytes: Int(kind.element_bytes)) }

  /// Name and relative error of each result of the forward kernels.
  func forwardErrors() throws -> [(String, Double)] {
    var (writer, reader) = (connection(own), connection(next))
    let tokens = Int(Self.tokens)
    let expected = (input: own.narrow(), state: own.wide(), write: own.betas(), nextInput: own.narrow())
    #expect(forward(reader: writer, tokens: tokens, state: own.state.pointer, input: expected.input))
    #expect(
      forward(
        writer: writer, tokens: tokens, state: own.state.pointer, output: own.output, nextState: expected.state,
        savedWrite: expected.write))
    let (input, nextInput) = (empty(own.narrow()), empty(own.narrow()))
    let (written, fused) = (empty(own.wide()), empty(own.wide()))
    let (write, fusedBeta) = (empty(own.betas()), empty(own.betas()))
    #expect(
      cuda_emulation_forward(program, nil, &writer, Self.tokens, given.state.memory, nil, nil, nil, input.memory, 3))
    #expect(
      cuda_emulation_forward(
        program, &writer, nil, Self.tokens, given.state.memory, given.output.memory, written.memory, write.memory, nil,
        2
      ))
    #expect(
      cuda_emulation_forward(
        program, &writer, &reader, Self.tokens, given.state.memory, given.output.memory, fused.memory, fusedBeta.memory,
        nextInput.memory, 2))
    // The next connection reads the state as it was rounded.
    let rounded = try Memory(Tensor(fused.floats))
    #expect(forward(reader: reader, tokens: tokens, state: rounded.pointer, input: expected.nextInput))
    return try [
      ("input", input, expected.input), ("state", written, expected.state), ("beta", write, expected.write),
      ("fused state", fused, expected.state), ("fused beta", fusedBeta, expected.write),
      ("next input", nextInput, expected.nextInput),
    ].map { ($0.0, try error($0.1, $0.2)) }
  }

  /// The same for the backward kernels, apart and as one.
  func backwardErrors() throws -> [(String, Double)] {
    let connection = connection(own)
    let expected = (state: own.wide(), sums: own.gradients(), output: own.narrow())
    #expect(
      own.backward(
        connection, stateGradient: expected.state, gradients: KernelArguments.targets(expected.sums)))
    var errors: [(String, Double)] = []
    for isFused in [false, true] {
      let (stateGradient, output, sums) = (empty(own.wide()), empty(own.narrow()), own.gradients())
      run(stateGradient, isFused ? output : nil, sums, blocks: 3)
      if !isFused {
        #expect(
          cuda_emulation_backward(
            program, nil, Self.tokens, nil, nil, nil, stateGradient.memory, given.write.memory, nil, output.memory,
            nil, 2))
      }
      let rounded = try Memory(Tensor(stateGradient.floats))
      #expect(
        backward(
          writer: connection, tokens: Int(Self.tokens), savedWrite: write, nextStateGradient: rounded,
          outputGradient: expected.output))
      errors.append(("state's gradient", try error(stateGradient, expected.state)))
      errors.append(("previous output's gradient", try error(output, expected.output)))
      for (name, (one, other)) in zip(KernelArguments.weightNames, zip(sums, expected.sums)) {
        errors.append((name, try relativeError(of: Tensor(one.elements), to: Tensor(other.elements))))
      }
    }
    return errors
  }

  /// The gradients of the parameters.
  func gradients(blocks: Int32) throws -> [Memory] {
    let sums = own.gradients()
    run(empty(own.wide()), nil, sums, blocks: blocks)
    return sums
  }

  private func run(_ stateGradient: Elements, _ previousOutput: Elements?, _ sums: [Memory], blocks: Int32) {
    var (connection, targets) = (connection(own), KernelArguments.targets(sums))
    #expect(
      cuda_emulation_backward(
        program, &connection, Self.tokens, given.state.memory, given.output.memory, given.inputGradient.memory,
        given.nextState.memory, previousOutput == nil ? nil : given.write.memory, stateGradient.memory,
        previousOutput?.memory, &targets, blocks))
  }

  private func error(_ found: Elements, _ expected: Memory) throws -> Double {
    try relativeError(of: Tensor(found.floats), to: Tensor(expected.elements))
  }
}
