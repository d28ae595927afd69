import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// An infinite or NaN loss, gradient, weight or measurement.
///
/// A struct and not an enum: which value is not finite makes no difference to what a caller can do.
public struct NotFiniteError: Error, CustomStringConvertible, Sendable {
  /// The sentence that names the value.
  public let description: String

  init(_ description: String) { self.description = description }

  /// A number as text; NaN without its sign, which has no meaning.
  static func text(_ value: Double) -> String { value.isNaN ? "nan" : "\(value)" }

  /// Checks that all elements of tensors are finite.
  ///
  /// - Parameter kind: the name of such a tensor in the message, such as "weight".
  /// - Throws: `NotFiniteError` that names the first tensor with an element that is not; the first error of an
  ///   operator.
  static func check(_ tensors: some Sequence<(key: String, value: Tensor)>, _ kind: String) throws {
    for (name, tensor) in tensors where tensor.dtype.isFloatingPoint && tensor.count > 0 {
      let isFinite = try withTorch {
        try withoutGradients { try tensor.isFinite().flattened().to(.uint8).min(0).item() == 1 }
      }
      guard isFinite else { throw NotFiniteError("the \(kind) \(name) has elements that are not finite") }
    }
  }

  /// Checks that measurements are finite.
  ///
  /// - Throws: `NotFiniteError` that names the first one that is not.
  static func check(_ values: [(name: String, value: Double)], of thing: String) throws {
    guard let wrong = values.first(where: { !$0.value.isFinite }) else { return }
    throw NotFiniteError("\(thing): the \(wrong.name) is \(text(wrong.value)): expected a finite number")
  }
}

extension LanguageModel {
  /// Checks that all weights are finite.
  ///
  /// - Parameter folder: the name of the model in the message.
  /// - Throws: `NotFiniteError` that names the first weight with an element that is not.
  public func requireFiniteWeights(in folder: String) throws {
    do { try NotFiniteError.check(weights.tensors, "weight") } catch let error as NotFiniteError {
      throw NotFiniteError("\(printable(folder)): \(error)")
    }
  }
}
