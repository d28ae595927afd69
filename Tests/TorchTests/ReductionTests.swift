import Foundation
import Testing
import WidebandTorch

@Suite struct ReductionTests {
  let t = matrix([[1, 5, 3], [4, 2, 6]])

  @Test func sumsAndMeans() throws {
    try expect([21], shape: []) { t.sum() }
    try expect([5, 7, 9], shape: [3]) { t.sum(0) }
    try expect([9, 12], shape: [2, 1]) { t.sum(-1, keep: true) }
    try expect([3.5]) { t.mean() }
    try expect([2.5, 3.5, 4.5]) { t.mean(0) }
    try expect([3, 4], shape: [2, 1]) { t.mean(1, keep: true) }
    try expect([1, 6, 9, 4, 6, 12]) { t.cumulativeSum(1) }
  }

  @Test func extremes() throws {
    try expect([6], shape: []) { t.max() }
    try expect([5, 6]) { t.max(1) }
    try expect([4, 5, 6], shape: [1, 3]) { t.max(0, keep: true) }
    try expect([1, 2]) { t.min(1) }
    try expect([1, 2]) { t.argmax(1) }
    try expect([1, 0, 1], shape: [1, 3]) { t.argmax(0, keep: true) }
    try expect([1]) { vector(0, 7, 7, 7).argmax(0) }
  }

  @Test func softmaxRows() throws {
    let sum = exp(1.0) + exp(5.0) + exp(3.0)
    try expect([exp(1) / sum, exp(5) / sum, exp(3) / sum]) { t.softmax(-1).select(0, 0) }
    try expect([1, 1]) { t.softmax(-1).sum(-1) }
    try expect([1, 1, 1]) { t.softmax(0).sum(0) }
    try expect([1 - log(sum), 5 - log(sum), 3 - log(sum)]) { t.logSoftmax(-1).select(0, 0) }
    try expect([0.5, 0.5, 0]) { vector(1000, 1000, -1000).softmax(0) }
  }

  @Test func largest() throws {
    let (values, indices) = try withTorch { t.topK(2) }
    try expect([5, 3, 6, 4], shape: [2, 2]) { values }
    try expect([1, 2, 2, 0]) { indices }
    #expect(indices.dtype == .int64)
    try expect([4, 5, 6], shape: [1, 3]) { t.topK(1, axis: 0).values }
  }

  @Test func sorting() throws {
    let (values, indices) = try withTorch { vector(2, 1, 2, 0).sorted() }
    try expect([0, 1, 2, 2]) { values }
    try expect([3, 1, 0, 2]) { indices }
    let down = try withTorch { vector(2, 1, 2, 0).sorted(descending: true) }
    try expect([2, 2, 1, 0]) { down.values }
    try expect([0, 2, 1, 3]) { down.indices }
    try expect([1, 2, 3, 4, 5, 6]) { t.sorted(1).values.sorted(0).values.flattened().sorted().values }
  }

  @Test func normsAndCounts() throws {
    try expect([5]) { vector(3, -4).norm() }
    try expect([5], shape: []) { matrix([[3], [4]]).norm() }
    try expect([1, 0, 2, 0, 1]) { integers(2, 0, 4, 2).bincount(5) }
  }
}
