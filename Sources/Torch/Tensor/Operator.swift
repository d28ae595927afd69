import WidebandCTorch

/// An operator of libtorch, found by its registered name and called with boxed arguments.
///
/// The lookup hashes the name, so operators are static constants. The methods of `Tensor` wrap each operator with a
/// typed signature and defaults.
///
/// Sendable: `pointer` refers to an entry of libtorch's operator registry, which is never removed and whose calls are
/// thread-safe.
struct Operator: @unchecked Sendable {
  private let pointer: OpaquePointer?
  private let name: String

  init(_ name: String, _ overload: String = "") {
    self.name = name
    pointer = wb_operator_find("aten::" + name, overload)
  }

  /// A boxed argument.
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

  /// Calls an operator with one result.
  func callAsFunction(_ arguments: Argument...) -> Tensor { run(arguments, results: 1)[0] }

  /// Calls an operator with `results` results; all are empty tensors after a failure.
  func results(_ results: Int, _ arguments: Argument...) -> [Tensor] { run(arguments, results: results) }

  /// Calls an in-place operator and discards its result.
  func perform(_ arguments: Argument...) { _ = run(arguments, results: nil) }

  private func run(_ arguments: [Argument], results: Int?) -> [Tensor] {
    let failed = [Tensor](repeating: .empty, count: results ?? 0)
    guard !arguments.contains(where: \.isEmpty) else {
      ErrorScope.current.reportEarlierFailure()
      return failed
    }
    guard let pointer else {
      ErrorScope.current.report(TorchError("\(name): this libtorch has no such operator"))
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
      ErrorScope.current.report(found.map { TorchError("\(call): gave \($0.count) results") } ?? .last(of: call))
      found?.forEach { wb_tensor_release($0) }
      return failed
    }
    return found.map { Tensor(owning: $0) }
  }

  /// Lowers arguments to the C interface and keeps the memory they point to alive while `body` runs.
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
  /// Whether the argument contains the empty result of a failed operator.
  var isEmpty: Bool {
    switch self {
    case .tensor(let tensor): tensor.isEmpty
    case .tensors(let tensors): tensors.contains(where: \.isEmpty)
    default: false
    }
  }

  /// The argument as error messages show it.
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
