import WidebandTorch

/// The gate of Direct Multi-Token Decoding: the input of the decoding layers from the states of the other two groups.
///
///     Z = H_enc + g ∘ H_think              gate "add", as published: a head's encoder state counts twice
///     Z = g ∘ H_think + (1 - g) ∘ H_enc    gate "select": equals the ordinary model if every token is a head
///
/// H_enc and H_think are the states `[B, T, n, C]` after the encoding and the thinking layers. g is 1 at cycle heads and in
/// prompts. Z enters the decoding layers. Source of "add": arXiv 2510.11958.
public struct CycleGate {
  /// The phase of a prompt token, for which the gate is open.
  public static let promptPhase = -1

  /// The layer groups and the kind of gate.
  public let split: ModelConfiguration.DirectDecoding
  /// Integer phases `[1 or B, T]`: 0 at a head, 1 … cycle-1 after it, `promptPhase` in a prompt.
  public let phases: Tensor

  /// The gate of tokens at the given phases.
  ///
  /// - Throws: `ConfigurationError` if the configuration has no layer split.
  public init(phases: Tensor, _ configuration: ModelConfiguration) throws {
    guard let split = configuration.directDecoding else { throw ConfigurationError.missingSplit }
    self.split = split
    self.phases = phases
  }

  /// The phase of a position: the cycle's heads are at `anchor`, `anchor + cycle`, …, and all earlier positions are a prompt.
  public static func phase(of position: Int, anchor: Int, cycle: Int) -> Int {
    position < anchor ? promptPhase : (position - anchor) % cycle
  }

  /// Z `[B, T, n, C]`, the input of the decoding layers.
  public func callAsFunction(encoded: Tensor, thought: Tensor) -> Tensor {
    let isOpen = (phases .< 1).unsqueezed(-1).unsqueezed(-1)
    return switch split.gate {
    case .add: encoded + thought.maskedFill(isOpen.not(), 0)
    case .select: Tensor.where(isOpen, thought, encoded)
    }
  }
}

extension ModelConfiguration.DirectDecoding {
  /// A model's layers in three consecutive groups.
  public typealias Groups = (encoding: Range<Int>, thinking: Range<Int>, decoding: Range<Int>)

  /// The groups of a model with `layerCount` layers.
  public func groups(layerCount: Int) -> Groups {
    let join = layerCount - decodingLayers
    return (0..<encodingLayers, encodingLayers..<join, join..<layerCount)
  }
}
