import Torch

/// Which tokens of a pass are cycle heads, and what the decoding layers see of each: Direct Multi-Token Decoding.
///
///     Z = H_enc + g ∘ H_think              gate "add": a head's embedding counts twice, as published
///     Z = g ∘ H_think + (1 - g) ∘ H_enc    gate "select": where every token is a head, the ordinary model
///
/// H_enc and H_think are the whole states `[B, T, n, C]` after the encoding and the thinking layers, g is 1 at cycle
/// heads and in prompts, and Z enters the decoding layers. Source of "add": arXiv 2510.11958.
public struct CycleGate {
  /// The phase of a token of a prompt, where the gate is open.
  public static let promptPhase = -1

  /// Which layers encode, think and decode, and how the gate joins them.
  public let split: ModelConfiguration.DirectDecoding
  /// Integer phases `[1 or B, T]`: 0 at a head, 1 … cycle-1 behind it, `promptPhase` in a prompt.
  public let phases: Tensor

  /// What is said of a model that cannot decode directly.
  public static let missingSplit = ConfigurationError(
    "direct_decoding is missing: expected encoding_layers, decoding_layers, cycle and gate")

  /// The gate of tokens at the given phases.
  ///
  /// - Throws: `ConfigurationError` if the configuration has no layer split.
  public init(phases: Tensor, _ configuration: ModelConfiguration) throws {
    guard let split = configuration.directDecoding else { throw Self.missingSplit }
    self.split = split
    self.phases = phases
  }

  /// The phase of a position: the cycle's heads are at `anchor`, `anchor + cycle`, …, and a prompt lies before.
  public static func phase(of position: Int, anchor: Int, cycle: Int) -> Int {
    position < anchor ? promptPhase : (position - anchor) % cycle
  }

  /// What the decoding layers see: one state `[B, T, n, C]` of two.
  public func callAsFunction(encoded: Tensor, thought: Tensor) -> Tensor {
    let isOpen = (phases .< 1).unsqueezed(-1).unsqueezed(-1)
    return switch split.gate {
    case .add: encoded + thought.masked(isOpen.not(), 0)
    case .select: Tensor.choose(isOpen, thought, encoded)
    }
  }
}

extension ModelConfiguration.DirectDecoding {
  /// A model's layers by what they do.
  public typealias Groups = (encoding: Range<Int>, thinking: Range<Int>, decoding: Range<Int>)

  /// Which of a model's layers encode, think and decode.
  public func groups(layerCount: Int) -> Groups {
    let join = layerCount - decodingLayers
    return (0..<encodingLayers, encodingLayers..<join, join..<layerCount)
  }
}
