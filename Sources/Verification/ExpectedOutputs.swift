import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandDecoding
import WidebandTorch

/// The content of a model folder's `expected.safetensors`: inputs, and the outputs of a reference implementation.
///
///     tokens, targets    [B, T], int64
///     logits             [B, T, V]
///     loss.NAME          scalars, see `Losses.named`
///     grad.WEIGHT        gradients of the total loss
///     prompt             [1, P]
///     greedy.plain       [1, P + S], the greedy continuation of the prompt
///     greedy.cycle_C     the same by direct decoding with cycles of C tokens
///     gate, gated_logits, gated_loss
///                        [B, T] with 1 where the gate is open, and the outputs with that gate
///
/// All but tokens and logits are optional.
struct ExpectedOutputs {
  /// The names of the losses, without "loss.".
  let losses: [String]
  /// The names of the weights with gradients.
  let gradients: [String]
  /// The cycle lengths of the continuations by direct decoding.
  let cycles: [Int]
  private let file: SafetensorsFile
  private let device: Device

  /// - Parameter device: the device of the returned tensors.
  /// - Throws: `CheckpointError` if the file cannot be read; `GenerationError` if it contains an unknown tensor.
  init(_ url: URL, on device: Device) throws {
    let file = try SafetensorsFile(url)
    self.file = file
    self.device = device
    func suffixes(_ prefix: String) -> [String] {
      file.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted()
    }
    losses = suffixes("loss.")
    gradients = suffixes("grad.")
    cycles = suffixes("greedy.cycle_").compactMap { Int($0) }.sorted()
    let known = Set(
      ["tokens", "targets", "logits", "prompt", "greedy.plain", "gate", "gated_logits", "gated_loss"]
        + cycles.map { "greedy.cycle_\($0)" })
    if let name = file.names.first(where: { name in
      !known.contains(name) && !name.hasPrefix("loss.") && !name.hasPrefix("grad.")
    }) {
      throw error("tensor \(quoted(name)) is nothing that can be verified")
    }
  }

  /// Whether there is a tensor of this name.
  func has(_ name: String) -> Bool { file.has(name) }

  /// The tensor of a name.
  ///
  /// - Throws: `GenerationError` if it is missing.
  func tensor(_ name: String) throws -> Tensor {
    guard has(name) else { throw error("tensor '\(name)' is missing") }
    return try file.tensor(name).to(device)
  }

  /// A non-empty matrix of token ids in `range`.
  ///
  /// - Parameter ignored: an id outside the range that is accepted too.
  /// - Throws: `GenerationError` if the tensor is missing or something else.
  func ids(_ name: String, in range: Range<Int>, ignored: Int? = nil) throws -> Tensor {
    let ids = try tensor(name)
    guard ids.rank == 2, ids.count > 0, ids.dtype == .int64 else {
      throw error("tensor '\(name)' is \(ids.dtype) of shape \(ids.shape): expected int64 of two axes, not empty")
    }
    if let bad = try ids.elements(Int64.self).map(Int.init).first(where: { !range.contains($0) && $0 != ignored }) {
      throw error("tensor '\(name)' holds the id \(bad): expected 0 to \(range.upperBound - 1)")
    }
    return ids
  }

  /// The rows of a matrix of ids.
  func rows(_ ids: Tensor) throws -> [[TokenID]] {
    let flat = try ids.elements(Int64.self).map(TokenID.init(clamping:))
    return stride(from: 0, to: flat.count, by: ids.size(1)).map { Array(flat[$0..<($0 + ids.size(1))]) }
  }

  /// An error that names the file.
  func error(_ sentence: String) -> GenerationError {
    GenerationError.invalidFile("\(printable(path: file.url.path)): \(sentence)")
  }
}
