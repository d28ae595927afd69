import Testing
import WidebandCKernels

/// The index of a row's largest element, on every vector code.
@Suite struct ArgmaxTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func theFirstOfTheLargestIsFound(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      for width in Array(1...40) + [511, 512, 513, 1024, 3001] {
        // Every index where a register, a part or the row may begin or end, and one between.
        for index in Set([0, 1, 15, 16, width / 2, 511, 512, width - 2, width - 1]) where (0..<width).contains(index) {
          var row = numbers(width)
          row[index] = 9
          if index + 3 < width { row[index + 3] = 9 }
          #expect(argmax([row, row.map { -$0 }, row]).first == index, "\(width): \(index)")
          #expect(argmax([row.map { $0 - 100 }]) == [index], "\(width): \(index)")
          for broken in [Float.nan, .infinity, -.infinity] {
            row[index] = broken
            #expect(argmax([numbers(width), row]).last == -1, "\(width): \(broken) at \(index)")
          }
        }
      }
      #expect(argmax([[-0.0, 0, -1]]) == [0])
    }
  }

  @Test func rowsDoNotDependOnTheThreads() {
    let rows = (0..<7).map { numbers(60_000 + $0) }.map { Array($0.suffix(60_000)) }
    let alone = rows.map { argmax([$0])[0] }
    for threads in 1...3 { #expect(argmax(rows, threads: threads) == alone) }
  }

  @Test func impossibleSizesAreRefused() {
    #expect(argmax([1], rows: 1, width: 0) == nil)
    #expect(argmax([1], rows: -1, width: 1) == nil)
    #expect(argmax([1], rows: 0, width: 1) == [])
  }
}

/// Numbers from -8 to 8 without a pattern.
private func numbers(_ count: Int) -> [Float] {
  var state = UInt32(count)
  return (0..<count).map { _ in
    state = state &* 1_664_525 &+ 1_013_904_223
    return Float(state >> 16) / 4096 - 8
  }
}

private func argmax(_ rows: [[Float]], threads: Int = 1) -> [Int] {
  argmax(rows.flatMap(\.self), rows: rows.count, width: rows[0].count, threads: threads) ?? []
}

/// Nil where the sizes are refused, with nothing written.
private func argmax(_ x: [Float], rows: Int, width: Int, threads: Int = 1) -> [Int]? {
  var indices = [Int64](repeating: -2, count: max(rows, 1))
  let isDone = x.withUnsafeBufferPointer { x in
    indices.withUnsafeMutableBufferPointer { indices in
      var args = ck_argmax_args(rows: Int64(rows), width: Int64(width), x: x.baseAddress, indices: indices.baseAddress)
      return ck_argmax(&args, Int32(threads))
    }
  }
  #expect(isDone && rows > 0 || indices[0] == -2)
  return isDone ? indices.prefix(rows).map(Int.init) : nil
}
