import Foundation
import OrderedCollections
import WidebandCheckedInput
import WidebandTorch

/// A safetensors file, mapped into memory.
///
/// Opening it reads and checks the header only. Tensors are views of the mapping: their bytes are read from the disk on
/// first access, and the mapping lives as long as the last tensor. They must not be written to.
///
///     let file = try SafetensorsFile(url)
///     let weight = try file.tensor("model.embed_tokens.weight")
public struct SafetensorsFile: Sendable {
  /// Where the file is.
  public let url: URL
  /// Free text by key; Hugging Face's readers expect "format".
  public let metadata: [String: String]

  let mapping: MappedFile
  private let entries: OrderedDictionary<ExactString, SafetensorsHeader.Entry>
  private let dataStart: Int

  /// Opens the file at `url`.
  ///
  /// - Throws: `CheckpointError` if it cannot be read or its header does not describe its bytes exactly.
  public init(_ url: URL) throws {
    self.url = url
    mapping = try MappedFile(url.path)
    let header = try mapping.withBytes { try SafetensorsHeader($0, path: url.path) }
    metadata = header.metadata
    entries = OrderedDictionary(uniqueKeysWithValues: header.entries.map { (ExactString($0.name), $0) })
    dataStart = header.dataStart
  }

  /// The names of all tensors in the order of their data.
  public var names: [String] { entries.values.map(\.name) }

  /// Whether there is a tensor of this name.
  public func has(_ name: String) -> Bool { entries[ExactString(name)] != nil }

  /// A tensor over the file's bytes; it is copied only if the file does not align it to its dtype.
  ///
  /// - Throws: `CheckpointError` if the file has no tensor of this name, or a BOOL in it is neither 0 nor 1.
  public func tensor(_ name: String) throws -> Tensor {
    guard let entry = entries[ExactString(name)] else {
      throw CheckpointError.mismatch(url.path, "has no tensor \(quoted(name))")
    }
    return try withTorch { try tensor(entry) }
  }

  /// All tensors by name.
  ///
  /// - Throws: `CheckpointError` if two names are canonically equivalent, such as "é" as one scalar and as two: a
  ///   dictionary of strings takes them for one key.
  public func tensors() throws -> [String: Tensor] {
    var tensors = [String: Tensor](minimumCapacity: entries.count)
    try withTorch {
      for entry in entries.values {
        guard tensors.updateValue(try tensor(entry), forKey: entry.name) == nil else {
          throw CheckpointError.malformed(
            url.path, "two tensors are called \(quoted(entry.name)), in letters that are composed differently")
        }
      }
    }
    return tensors
  }

  private func tensor(_ entry: SafetensorsHeader.Entry) throws -> Tensor {
    let start = dataStart + entry.range.lowerBound
    return try mapping.withBytes { file in
      let bytes = UnsafeRawBufferPointer(rebasing: file[start..<(start + entry.range.count)])
      try requireBooleans(bytes, entry)
      func borrow(_ memory: UnsafeRawPointer, from owner: AnyObject) -> Tensor {
        Tensor(borrowing: memory, shape: entry.shape, dtype: entry.dtype, owner: owner)
      }
      if start.isMultiple(of: entry.dtype.size), let start = bytes.baseAddress { return borrow(start, from: mapping) }
      let copy = AlignedCopy(bytes)
      return borrow(copy.memory, from: copy)
    }
  }

  /// A Swift `Bool` that is neither 0 nor 1 is undefined behavior, so such bytes are refused.
  private func requireBooleans(_ bytes: UnsafeRawBufferPointer, _ entry: SafetensorsHeader.Entry) throws {
    guard entry.dtype == .bool, let index = bytes.firstIndex(where: { $0 > 1 }) else { return }
    let place = "tensor \(quoted(entry.name)): element \(index)"
    throw CheckpointError.malformed(url.path, "\(place) is \(bytes[index]): expected a BOOL of 0 or 1")
  }

  /// A copy of bytes with an alignment that suits every dtype.
  private final class AlignedCopy {
    let memory: UnsafeMutableRawPointer

    init(_ bytes: UnsafeRawBufferPointer) {
      memory = .allocate(byteCount: max(1, bytes.count), alignment: 16)
      if let start = bytes.baseAddress { memory.copyMemory(from: start, byteCount: bytes.count) }
    }

    deinit { memory.deallocate() }
  }
}
