import WidebandCTorch

extension Tensor {
  /// The sum of squares of each `piece` consecutive floats of a contiguous float32 array on the CPU, in float64.
  ///
  /// A sum depends on its floats alone, and neither on the number of threads nor on the processor.
  ///
  /// - Throws: `TorchError` if the array does not have whole pieces.
  public func squareSums(of piece: Int) throws -> [Double] {
    guard let pointer else { return [] }
    var sums = [Double](repeating: 0, count: count / piece)
    let isDone = sums.withUnsafeMutableBufferPointer { wb_square_sums(pointer, Int64(piece), $0.baseAddress) }
    guard isDone else { throw TorchError.last(of: "square_sums(\(count) floats)") }
    return sums
  }
}
