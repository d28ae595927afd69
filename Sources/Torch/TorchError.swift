import CTorch

/// What went wrong in a tensor computation: the first operator that failed in a scope, and why.
public struct TorchError: Error, CustomStringConvertible, Sendable {
  /// One line: the operator, its operands' shapes, and libtorch's reason.
  public let description: String

  /// An error with the given text.
  public init(_ description: String) { self.description = description }
}

/// Runs `body` and throws the first error that a tensor operator recorded in it.
///
/// Operators do not throw, so that mathematics reads like the equations: one that fails records its error here and
/// yields an empty tensor, on which all further operators do nothing. Scopes nest; an error belongs to the innermost.
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
/// Kept in the thread's dictionary rather than in a task-local value: operators are synchronous, and a scope never
/// outlives the call that opened it.
final class ErrorScope {
  private(set) var firstError: TorchError?
  private let outer: ErrorScope?

  private init(outer: ErrorScope?) { self.outer = outer }

  static var current: ErrorScope {
    if let scope = ThreadLocal.scope { return scope }
    let root = ErrorScope(outer: nil)
    ThreadLocal.scope = root
    return root
  }

  static func enter() -> ErrorScope {
    let scope = ErrorScope(outer: current)
    ThreadLocal.scope = scope
    return scope
  }

  func leave() { ThreadLocal.scope = outer }

  /// Keeps the first error; outside of every scope, where nobody throws and forgets it, the last.
  func record(_ error: TorchError) {
    if firstError == nil || outer == nil { firstError = error }
  }

  /// An operand was empty: a scope that has no error of its own inherits the one that made it so.
  func recordEarlierFailure() {
    guard firstError == nil else { return }
    var scope = outer
    while let candidate = scope, candidate.firstError == nil { scope = candidate.outer }
    firstError = scope?.firstError ?? TorchError("the tensor is the result of a failed operator")
  }
}
