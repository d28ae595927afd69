import Foundation
import TestSupport
import Testing
import WidebandTorch

@testable import WidebandCheckpoint

@Suite struct SafetensorsTests {
  let folder: TemporaryFolder
  let url: URL

  init() throws {
    folder = try TemporaryFolder()
    url = folder.url("model.safetensors")
  }

  @Test(arguments: DType.allCases)
  func roundTrip_everyDType_isBitIdentical(_ dtype: DType) throws {
    let tensor = try withTorch { Tensor([0, 1, 2.5, 100, 1, 0] as [Float], shape: [2, 3]).to(dtype) }
    try Safetensors.write([("tensor", tensor)], to: url)
    let file = try SafetensorsFile(url)
    let read = try file.tensor("tensor")
    #expect(read.dtype == dtype)
    #expect(read.shape == [2, 3])
    let (expected, found) = (try bytes(tensor), try bytes(read))
    #expect(expected == found)
  }

  @Test func roundTrip_scalarsAndEmptyTensors() throws {
    try Safetensors.write(
      [("scalar", Tensor([3.5] as [Float], shape: [])), ("empty", .zeros([2, 0, 3], .int64))], to: url)
    let tensors = try SafetensorsFile(url).tensors()
    #expect(tensors["scalar"]?.shape == [])
    #expect(try tensors["scalar"]?.item() == 3.5)
    #expect(tensors["empty"]?.shape == [2, 0, 3])
    #expect(tensors["empty"]?.dtype == .int64)
  }

  @Test func write_noTensors() throws {
    try Safetensors.write([], metadata: [:], to: url)
    let file = try SafetensorsFile(url)
    #expect(file.names == [])
    #expect(file.metadata == [:])
    #expect(try Data(contentsOf: url) == safetensorsFile("{}      "))
  }

  @Test func write_transposedTensor_isRowMajor() throws {
    let tensor = try withTorch { Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]).transposed() }
    try Safetensors.write([("t", tensor)], to: url)
    let read = try SafetensorsFile(url).tensor("t")
    #expect(read.shape == [3, 2])
    #expect(try read.elements(Float.self) == [1, 4, 2, 5, 3, 6])
  }

  /// The bytes are those that the format's reference implementation writes for the same tensors.
  @Test func write_equalsReferenceImplementation() throws {
    try Safetensors.write(
      [
        ("mask", Tensor([true, false, true])), ("b", Tensor([1, 2] as [Float])), ("a", Tensor([3] as [Float])),
        ("half", try withTorch { Tensor([1] as [Float]).to(.bfloat16) }), ("step", Tensor([7] as [Int64], shape: [])),
        ("byte", Tensor([9] as [UInt8])),
      ], to: url)
    let header =
      #"{"__metadata__":{"format":"pt"},"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"#
      + #""a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},"#
      + #""half":{"dtype":"BF16","shape":[1],"data_offsets":[20,22]},"#
      + #""byte":{"dtype":"U8","shape":[1],"data_offsets":[22,23]},"#
      + #""mask":{"dtype":"BOOL","shape":[3],"data_offsets":[23,26]}}"#
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let data: [UInt8] =
      [7, 0, 0, 0, 0, 0, 0, 0] + [0, 0, 0x40, 0x40] + [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40] + [0x80, 0x3f] + [9]
      + [1, 0, 1]
    #expect(try Data(contentsOf: url) == safetensorsFile(padded) + Data(data))
  }

  @Test func roundTrip_unusualNamesAndMetadata() throws {
    let names = ["a\"b\\c/d", "новый\n\t", "", "😀"]
    try Safetensors.write(
      names.map { ($0, Tensor([1] as [Float])) }, metadata: ["key \"one\"": "line\nbreak", "z": ""], to: url)
    let file = try SafetensorsFile(url)
    #expect(Set(file.names) == Set(names))
    #expect(file.metadata == ["key \"one\"": "line\nbreak", "z": ""])
  }

  @Test func tensors_shareTheMapping() throws {
    weak var mapping: MappedFile?
    var tensor: Tensor?
    do {
      try Safetensors.write([("t", .ones([1000]))], to: url)
      let file = try SafetensorsFile(url)
      mapping = file.mapping
      tensor = try file.tensor("t")
      try file.mapping.withBytes { whole in
        try tensor?.withContiguousBytes { bytes in
          let start = try #require(bytes.baseAddress)
          #expect(start == whole.baseAddress.map { $0 + whole.count - 4000 })
        }
      }
    }
    #expect(mapping != nil)
    #expect(try tensor?.elements(Float.self) == [Float](repeating: 1, count: 1000))
    tensor = nil
    #expect(mapping == nil)
  }

  @Test func read_misalignedTensor_isCopied() throws {
    let header =
      #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}"#
    let floats = [1.5, -2] as [Float]
    try (safetensorsFile(header) + Data([5]) + floats.withUnsafeBytes { Data($0) }).write(to: url)
    let file = try SafetensorsFile(url)
    #expect(try file.tensor("a").elements(UInt8.self) == [5])
    let tensor = try file.tensor("b")
    try tensor.withContiguousBytes { #expect(UInt(bitPattern: $0.baseAddress).isMultiple(of: 4)) }
    #expect(try tensor.elements(Float.self) == [1.5, -2])
  }

  @Test func read_missingTensor_isNamed() throws {
    try Safetensors.write([("t", .ones([1]))], to: url)
    let file = try SafetensorsFile(url)
    #expect(message { _ = try file.tensor("u") } == "\(url.path): has no tensor 'u'")
  }

  @Test(arguments: [["same", "same"], ["__metadata__"]])
  func write_duplicateName_isRefused(_ names: [String]) throws {
    let found = message { try Safetensors.write(names.map { ($0, .ones([1])) }, to: url) }
    #expect(found == "\(url.path): the tensor name '\(names[0])' is taken")
    #expect(try folder.names() == [])
  }

  @Test func write_failedTensor_isNamed() throws {
    var failed: Tensor?
    #expect(throws: TorchError.self) { try withTorch { failed = Tensor.ones([2]) + Tensor.ones([3]) } }
    let tensor = try #require(failed)
    let found = message { try Safetensors.write([("good", .ones([4])), ("bad", tensor)], to: url) }
    #expect(
      found == "\(url.path): tensor 'bad' cannot be written: the tensor is the result of a failed operator")
    #expect(try folder.names() == [])
  }

  private func bytes(_ tensor: Tensor) throws -> [UInt8] { try tensor.withContiguousBytes { Array($0) } }
}
