/// A form of weights as whole numbers, 32 neighbours in a row under one bfloat16 scale.
///
/// With M the largest magnitude among the 32, no weight changes by more than M/254 · (1 + 2⁻⁷) in int8 and M/8 in int4;
/// 32 of which none reaches 2⁻¹¹⁰ become zero. `ck_quantize` in `ckernels_decoding.h` says how numbers and scales are
/// chosen and where they lie.
public enum QuantizationScheme: String, Codable, Sendable, CaseIterable {
  /// Whole numbers from -127 to 127.
  case int8
  /// Whole numbers from -8 to 7, eight in a word.
  case int4

  /// How many weights share a scale.
  public static let groupSize = 32

  /// The type in which numbers are kept.
  public var dtype: DType { self == .int8 ? .int8 : .int32 }

  /// Bytes of a weight, with its share of the scale, in rows of whole groups.
  public var bytesPerWeight: Double { (self == .int8 ? 1 : 0.5) + 2 / Double(Self.groupSize) }

  /// The scheme whose numbers are kept in a type.
  init?(_ dtype: DType) {
    guard let scheme = Self.allCases.first(where: { $0.dtype == dtype }) else { return nil }
    self = scheme
  }

  /// The shape of the numbers of a weight `[outputs, inputs]`.
  func valuesShape(_ outputs: Int, _ inputs: Int) -> [Int] {
    [outputs, self == .int8 ? inputs : 16 * ((inputs + 127) / 128)]
  }

  /// The shape of the scales of a weight `[outputs, inputs]`.
  func scalesShape(_ outputs: Int, _ inputs: Int) -> [Int] {
    [outputs, self == .int8 ? (inputs + Self.groupSize - 1) / Self.groupSize : 4 * ((inputs + 127) / 128)]
  }
}
