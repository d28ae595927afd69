import CKernels
import Testing

/// The place of a row's largest number, on every vector code.
@Suite struct LargestTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func theFirstOfTheLargestIsFound(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      for width in Array(1...40) + [511, 512, 513, 1024, 3001] {
        // Every place where a register, a part or the row may begin or end, and one between.
        for place in Set([0, 1, 15, 16, width / 2, 511, 512, width - 2, width - 1]) where (0..<width).contains(place) {
          var row = numbers(width)
          row[place] = 9
          if place + 3 < width { row[place + 3] = 9 }
          #expect(largest([row, row.map { -$0 }, row]).first == place, "\(width): \(place)")
          #expect(largest([row.map { $0 - 100 }]) == [place], "\(width): \(place)")
          for broken in [Float.nan, .infinity, -.infinity] {
            row[place] = broken
            #expect(largest([numbers(width), row]).last == -1, "\(width): \(broken) at \(place)")
          }
        }
      }
      #expect(largest([[-0.0, 0, -1]]) == [0])
    }
  }

  @Test func rowsDoNotDependOnTheThreads() {
    let rows = (0..<7).map { numbers(60_000 + $0) }.map { Array($0.suffix(60_000)) }
    let alone = rows.map { largest([$0])[0] }
    for threads in 1...3 { #expect(largest(rows, threads: threads) == alone) }
  }

  @Test func impossibleSizesAreRefused() {
    var place: Int64 = 7
    #expect(!ck_largest(1, 0, [1], &place, 1))
    #expect(!ck_largest(-1, 1, [1], &place, 1))
    #expect(ck_largest(0, 1, [1], &place, 1))
    #expect(place == 7)
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

private func largest(_ rows: [[Float]], threads: Int = 1) -> [Int] {
  var places = [Int64](repeating: -2, count: rows.count)
  #expect(ck_largest(Int64(rows.count), Int64(rows[0].count), rows.flatMap(\.self), &places, Int32(threads)))
  return places.map(Int.init)
}
