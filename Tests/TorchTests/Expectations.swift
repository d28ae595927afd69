import Foundation
import Testing

@testable import WidebandTorch

/// Expects the elements of `make()`, in row-major order, to equal `expected` within `tolerance`.
func expect(
  _ expected: [Double], shape: [Int]? = nil, within tolerance: Double = 1e-6,
  sourceLocation: SourceLocation = #_sourceLocation, _ make: () throws -> Tensor
) throws {
  let tensor = try withTorch(make)
  if let shape { #expect(tensor.shape == shape, sourceLocation: sourceLocation) }
  let found = try tensor.elements(Double.self)
  try #require(found.count == expected.count, "found \(found)", sourceLocation: sourceLocation)
  let isClose = zip(found, expected).allSatisfy { $0 == $1 || abs($0 - $1) <= tolerance }
  #expect(isClose, "found \(found), expected \(expected)", sourceLocation: sourceLocation)
}

/// Expects two tensors of one shape whose difference is at most `tolerance` of the second's norm.
func expectEqual(
  _ found: Tensor, _ expected: Tensor, within tolerance: Double = 1e-6,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  #expect(found.shape == expected.shape, sourceLocation: sourceLocation)
  let error = try withTorch {
    let wanted = expected.detached().to(.float64)
    let distance = try (found.detached().to(.float64) - wanted).norm().item()
    return try distance / Swift.max(wanted.norm().item(), 1e-30)
  }
  #expect(error <= tolerance, "relative error \(error)", sourceLocation: sourceLocation)
}

/// Expects `body` to fail in a new scope with exactly this message.
func expectError(
  _ message: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) {
  let error = #expect(throws: TorchError.self, sourceLocation: sourceLocation) { try withTorch(body) }
  if let error { #expect(error.description == message, sourceLocation: sourceLocation) }
}

/// Samples of the standard normal distribution in float32.
func random(_ shape: Int..., seed: UInt64 = 1) throws -> Tensor {
  let generator = try Generator(seed: seed)
  return try withTorch { .normal(shape, from: generator) }
}

/// The rows of a matrix or the elements of a vector, for literals in tests.
func matrix(_ rows: [[Double]]) -> Tensor {
  Tensor(rows.flatMap { $0 }.map { Float($0) }, shape: [rows.count, rows.first?.count ?? 0])
}

func vector(_ elements: Double...) -> Tensor { Tensor(elements.map { Float($0) }) }

func integers(_ elements: Int64...) -> Tensor { Tensor(elements) }
