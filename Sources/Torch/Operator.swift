import CTorch

/// An operator of libtorch by its registered name, callable with any arguments that its schema takes.
///
/// Looking it up costs a hash of the name, so operators are static constants. This is the one way that Swift calls
/// into libtorch; the methods of `Tensor` give each operator its name, its defaults and its types.
struct Operator: @unchecked Sendable {
  private let pointer: OpaquePointer?
  private let name: String

  init(_ name: String, _ overload: String = "") {
    self.name = name
    pointer = wb_operator_find("aten::" + name, overload)
  }

  /// An argument in the form that crosses the border.
  enum Argument {
    case none
    case tensor(Tensor)
    case int(Int)
    case double(Double)
    case bool(Bool)
    case ints([Int])
    case tensors([Tensor])
    case string(String)
    case device(Device)
    case generator(Generator)

    static func dtype(_ dtype: DType) -> Argument { .int(Int(dtype.rawValue)) }
    static func optional(_ tensor: Tensor?) -> Argument { tensor.map { .tensor($0) } ?? .none }
    static func optional(_ generator: Generator?) -> Argument { generator.map { .generator($0) } ?? .none }
  }

  /// The operator's only result.
  func callAsFunction(_ arguments: Argument...) -> Tensor { run(arguments, results: 1)[0] }

  /// The operator's results; exactly `results` of them, empty ones after a failure.
  func results(_ results: Int, _ arguments: Argument...) -> [Tensor] { run(arguments, results: results) }

  /// Calls an operator that works in place and whose result is of no interest.
  func perform(_ arguments: Argument...) { _ = run(arguments, results: nil) }

  private func run(_ arguments: [Argument], results: Int?) -> [Tensor] {
    let failed = [Tensor](repeating: .empty, count: results ?? 0)
    guard !arguments.contains(where: \.isEmpty) else {
      ErrorScope.current.recordEarlierFailure()
      return failed
    }
    guard let pointer else {
      ErrorScope.current.record(TorchError("\(name): this libtorch has no such operator"))
      return failed
    }
    let capacity = 64
    let found: [OpaquePointer?]? = withArguments(arguments) { lowered in
      withUnsafeTemporaryAllocation(of: OpaquePointer?.self, capacity: capacity) { out in
        let count = wb_operator_call(
          pointer, lowered.baseAddress, Int32(lowered.count), out.baseAddress, Int32(capacity))
        return count < 0 ? nil : Array(out.prefix(Int(count)))
      }
    }
    guard let found, results == nil || found.count == results else {
      let call = "\(name)(\(arguments.map(\.summary).joined(separator: ", ")))"
      ErrorScope.current.record(found.map { TorchError("\(call): gave \($0.count) results") } ?? .last(of: call))
      found?.forEach { wb_tensor_release($0) }
      return failed
    }
    return found.map { Tensor(owning: $0) }
  }

  /// Lowers arguments to C and keeps everything that they point at alive while `body` runs.
  private func withArguments<Result>(
    _ arguments: [Argument], _ body: (UnsafeMutableBufferPointer<wb_argument>) -> Result
  ) -> Result {
    let arena = ArgumentArena(arguments)
    return withExtendedLifetime((arena, arguments)) {
      withUnsafeTemporaryAllocation(of: wb_argument.self, capacity: arguments.count) { lowered in
        for (index, argument) in arguments.enumerated() {
          lowered.initializeElement(at: index, to: arena.lower(argument))
        }
        return body(lowered)
      }
    }
  }
}

extension Operator.Argument {
  /// Whether a tensor among the operands is the result of an earlier failure.
  var isEmpty: Bool {
    switch self {
    case .tensor(let tensor): tensor.isEmpty
    case .tensors(let tensors): tensors.contains(where: \.isEmpty)
    default: false
    }
  }

  /// How an error message shows the argument.
  var summary: String {
    switch self {
    case .none: "none"
    case .tensor(let tensor): "\(tensor.dtype)\(tensor.shape)"
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    case .bool(let value): "\(value)"
    case .ints(let values): "\(values)"
    case .tensors(let tensors): "\(tensors.count) tensors"
    case .string(let value): "\"\(value)\""
    case .device(let device): "\(device)"
    case .generator: "generator"
    }
  }
}
