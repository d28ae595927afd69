import Foundation
import WidebandCheckedInput
import WidebandTorch

/// Writes safetensors files; ``SafetensorsFile`` reads them.
public enum Safetensors {
  /// Writes a safetensors file atomically.
  ///
  /// Tensors are copied to the CPU and written one at a time, in the order of the format's reference implementation:
  /// the widest dtypes first, then by name, so that every tensor is aligned.
  ///
  /// - Parameters:
  ///   - tensors: all tensors with their names; names must differ.
  ///   - dtype: the type of floating-point tensors in the file, converted as they are written; nil for their own.
  ///   - metadata: free text by key. Hugging Face's readers refuse a file without a "format".
  ///   - requiresFinite: whether an infinity or a NaN in the type that is written is an error.
  /// - Throws: `CheckpointError` naming the path and the tensor.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], dtype: DType? = nil,
    metadata: [String: String] = ["format": "pt"], requiringFinite requiresFinite: Bool = false, to url: URL
  ) throws {
    let ordered = inFileOrder(
      tensors.map { Entry(name: $0.name, tensor: $0.tensor, dtype: stored($0.tensor, dtype)) })
    let header = try header(ordered, metadata, url.path)
    try AtomicFile.write(to: url) { append in
      try header.withUnsafeBytes(append)
      for entry in ordered {
        do {
          try withTorch {
            try entry.tensor.withContiguousBytes(as: entry.dtype) { bytes in
              if requiresFinite, let index = FiniteNumbers.firstOther(in: bytes, entry.dtype) {
                throw CheckpointError.notWritable(url.path, try entry.problem(at: index))
              }
              try append(bytes)
            }
          }
        } catch let error as TorchError {
          throw CheckpointError.notWritable(url.path, "tensor \(quoted(entry.name)) cannot be written: \(error)")
        }
      }
    }
  }

  /// A tensor and the type that it is written in.
  private struct Entry {
    let name: String
    let tensor: Tensor
    let dtype: DType

    /// The error sentence for an element that is not finite in the type that is written.
    func problem(at index: Int) throws -> String {
      let value = try withTorch { try tensor.flattened().slice(0, index..<(index + 1)).item() }
      let isTooLarge = value.isFinite ? ", which \(dtype) cannot hold" : ""
      let shown = tensor.dtype == .float64 ? "\(value)" : "\(Float(value))"
      return "tensor \(quoted(name)): element \(index) is \(shown)\(isTooLarge): expected finite numbers"
    }
  }

  /// The type that a tensor is written in, if `dtype` is requested for floating-point tensors.
  static func stored(_ tensor: Tensor, _ dtype: DType?) -> DType {
    tensor.dtype.isFloatingPoint ? dtype ?? tensor.dtype : tensor.dtype
  }

  private static func inFileOrder(_ entries: [Entry]) -> [Entry] {
    DType.safetensorsOrder.flatMap { dtype in
      entries.filter { $0.dtype == dtype }.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
  }

  /// The header's length and the header, padded so that the data starts at a multiple of eight bytes.
  private static func header(
    _ entries: [Entry], _ metadata: [String: String], _ path: String
  ) throws -> Data {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = try metadata.sorted { $0.key < $1.key }.map { try jsonString($0.key) + ":" + jsonString($0.value) }
      members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    var names: Set<String> = ["__metadata__"]
    var offset = 0
    for entry in entries {
      guard names.insert(entry.name).inserted else {
        throw CheckpointError.notWritable(path, "the tensor name \(quoted(entry.name)) is taken")
      }
      let end = offset + entry.tensor.count * entry.dtype.size
      let shape = entry.tensor.shape.map(String.init).joined(separator: ",")
      let type = "\"dtype\":\"\(entry.dtype.safetensorsName)\",\"shape\":[\(shape)]"
      members.append("\(try jsonString(entry.name)):{\(type),\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    let text = Data("{\(members.joined(separator: ","))}".utf8)
    let padding = Data(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    let length = UInt64(text.count + padding.count)
    return withUnsafeBytes(of: length.littleEndian) { Data($0) } + text + padding
  }
}
