import CheckedInput
import Checkpoint
import Foundation
import Torch

/// The content of a model folder's `expected.safetensors`: inputs, and what a reference made of them.
///
/// Tokens `tokens` and `targets` `[B, T]`, `logits` `[B, T, V]`, scalars `loss.<name>`, `grad.<weight>` of the total
/// loss, and `greedy.plain` `[1, P+S]`, the continuation of `prompt` `[1, P]`. All but tokens and logits may be absent.
struct ExpectedOutputs {
  /// What follows "loss." in the names of losses.
  let losses: [String]
  /// What follows "grad." in the names of gradients.
  let gradients: [String]
  /// The cycles for which a continuation decoded directly is expected.
  let cycles: [Int]
  private let file: SafetensorsFile
  private let device: Device

  /// - Parameter device: where its tensors are wanted.
  /// - Throws: `CheckpointError` if the file cannot be read; `GenerationError` if it holds something that is not known.
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

  /// A tensor; its absence is an error.
  func tensor(_ name: String) throws -> Tensor {
    guard has(name) else { throw error("tensor '\(name)' is missing") }
    return try file.tensor(name).to(device)
  }

  /// A table of token ids in `range`, with both sizes at least 1.
  ///
  /// - Parameter ignored: an id outside the range that is allowed all the same.
  func ids(_ name: String, in range: Range<Int>, ignored: Int? = nil) throws -> Tensor {
    let ids = try tensor(name)
    guard ids.rank == 2, ids.count > 0, ids.dtype == .int64 else {
      throw error("tensor '\(name)' is \(ids.dtype) of shape \(ids.shape): expected int64 of two axes, not empty")
    }
    if let bad = try rows(ids).joined().first(where: { !range.contains($0) && $0 != ignored }) {
      throw error("tensor '\(name)' holds the id \(bad): expected 0 to \(range.upperBound - 1)")
    }
    return ids
  }

  /// The rows of a table of ids.
  func rows(_ ids: Tensor) throws -> [[Int]] {
    let flat = try ids.elements(Int64.self).map(Int.init)
    return stride(from: 0, to: flat.count, by: ids.size(1)).map { Array(flat[$0..<($0 + ids.size(1))]) }
  }

  /// An error that names the file.
  func error(_ sentence: String) -> GenerationError {
    GenerationError("\(printable(path: file.url.path)): \(sentence)")
  }
}
