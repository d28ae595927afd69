import Foundation

/// A failed tensor computation: the first operator that failed in a scope, and the reason.
///
/// A struct with a kind and not an enum: the sentence is libtorch's for all kinds alike, so that cases would differ in
/// their name alone.
public struct TorchError: Error, CustomStringConvertible, Sendable {
  /// What a caller can act on.
  public enum Kind: Sendable {
    /// An operator refused its operands, or failed on them.
    case operation
    /// An allocation failed: a smaller batch, model or context may succeed.
    case outOfMemory
    /// A device is unknown, absent or has failed: another device may do.
    case device
    /// A weight store and the model that reads it do not fit: a tensor is missing, unexpected, or has another shape or
    /// dtype.
    case weights
  }

  /// The kind of failure.
  public let kind: Kind
  /// One line: the operator, the shapes of its operands, and libtorch's reason.
  public let description: String

  /// An error with the given sentence.
  public init(_ description: String, kind: Kind = .operation) {
    self.description = description
    self.kind = kind
  }
}

/// Runs `body` and throws the first error of a tensor operator in it.
///
/// Operators do not throw, so that code reads like the equations. A failed operator reports its error to the innermost
/// scope and returns an empty tensor, on which all further operators do nothing.
public func withTorch<Result>(_ body: () throws -> Result) throws -> Result {
  let scope = ErrorScope.enter()
  defer { scope.leave() }
  do {
    let result = try body()
    if let error = scope.firstError { throw error }
    return result
  } catch {
    throw scope.firstError ?? error
  }
}

/// The first error of one scope on one thread.
///
/// The current scope is stored in the thread's dictionary and not in a task-local value: operators are synchronous, and
/// a scope never outlives the call that opened it.
final class ErrorScope {
  private(set) var firstError: TorchError?
  private let outer: ErrorScope?

  private init(outer: ErrorScope?) {
    self.outer = outer
    Self.innermost = self
  }

  private static let key = "wideband.torch.scope"

  /// The innermost scope of the calling thread.
  private static var innermost: ErrorScope? {
    get { Thread.current.threadDictionary[key] as? ErrorScope }
    set { Thread.current.threadDictionary[key] = newValue }
  }

  static var current: ErrorScope { innermost ?? ErrorScope(outer: nil) }

  static func enter() -> ErrorScope { ErrorScope(outer: current) }

  func leave() { Self.innermost = outer }

  /// Stores an error if it is the scope's first. The root scope, whose error is never thrown, stores the last.
  func report(_ error: TorchError) {
    if firstError == nil || outer == nil { firstError = error }
  }

  /// Reports that an operand is empty: a scope without an error of its own inherits that of the nearest outer scope.
  func reportEarlierFailure() {
    guard firstError == nil else { return }
    var scope = outer
    while let candidate = scope, candidate.firstError == nil { scope = candidate.outer }
    firstError = scope?.firstError ?? TorchError("the tensor is the result of a failed operator")
  }
}
