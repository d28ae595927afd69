import CheckedInput
import LanguageModel
import Torch

/// Numbers that training cannot go on from, or an evaluation means nothing with: infinite ones, and NaN.
public struct NotFiniteError: Error, CustomStringConvertible, Sendable {
  /// The sentence: which numbers, and where.
  public let description: String

  init(_ description: String) { self.description = description }

  /// A number in words; the sign of what is no number means nothing.
  static func text(_ value: Double) -> String { value.isNaN ? "nan" : "\(value)" }

  /// Fails at the first tensor with an element that is not finite.
  ///
  /// - Parameter kind: what a message calls such a tensor.
  static func check(_ tensors: some Sequence<(key: String, value: Tensor)>, _ kind: String) throws {
    for (name, tensor) in tensors where tensor.dtype.isFloatingPoint && tensor.count > 0 {
      let isFinite = try withTorch {
        try withoutGradients { try tensor.isFinite().flattened().to(.uint8).min(0).item() == 1 }
      }
      guard isFinite else { throw NotFiniteError("the \(kind) \(name) has elements that are not finite") }
    }
  }

  /// Fails at the first of some measurements that is not finite.
  static func check(_ values: [(name: String, value: Double)], of thing: String) throws {
    guard let wrong = values.first(where: { !$0.value.isFinite }) else { return }
    throw NotFiniteError("\(thing): the \(wrong.name) is \(text(wrong.value)): expected a finite number")
  }
}

extension LanguageModel {
  /// Fails at the first weight with an element that is not finite.
  ///
  /// - Parameter folder: what an error calls the model.
  public func requireFiniteWeights(in folder: String) throws {
    do { try NotFiniteError.check(weights.tensors, "weight") } catch let error as NotFiniteError {
      throw NotFiniteError("\(printable(folder)): \(error)")
    }
  }
}
