import Foundation
import Testing
import WidebandTorch

@Suite struct ArithmeticTests {
  let a = vector(1, -2, 3)
  let b = vector(4, 5, -8)

  @Test func binaryOperators() throws {
    try expect([5, 3, -5]) { a + b }
    try expect([-3, -7, 11]) { a - b }
    try expect([4, -10, -24]) { a * b }
    try expect([0.25, -0.4, -0.375]) { a / b }
    try expect([-1, 2, -3]) { -a }
  }

  @Test func numbersOnEitherSide() throws {
    try expect([1.5, -1.5, 3.5]) { a + 0.5 }
    try expect([0.5, -2.5, 2.5]) { a - 0.5 }
    try expect([9, 12, 7]) { 10.0 - a }
    try expect([2, -4, 6]) { a * 2.0 }
    try expect([2, -4, 6]) { 2.0 * a }
    try expect([0.5, -1, 1.5]) { a / 2.0 }
  }

  @Test func broadcasting() throws {
    try expect([11, 21, 12, 22], shape: [2, 2]) { matrix([[10, 20]]) + matrix([[1], [2]]) }
    try expect([2, 4, 6, 8], shape: [2, 2]) { matrix([[1, 2], [3, 4]]) * Tensor([Float(2)], shape: []) }
  }

  @Test("integer arithmetic keeps the dtype") func integers_dtype() throws {
    let c = integers(-7, 7, 9)
    try expect([-4, 10, 12]) { c + 3 }
    #expect((c + 3).dtype == .int64)
    try expect([-4, 3, 4]) { c.floorDivide(by: 2) }
    #expect(c.floorDivide(by: 2).dtype == .int64)
    try expect([1, 3, 1]) { c.remainder(by: 4) }
  }

  @Test func functionsOfOneElement() throws {
    let x = [-1.5, 0.25, 2]
    let t = vector(-1.5, 0.25, 2)
    try expect(x.map { abs($0) }) { t.abs() }
    try expect(x.map { exp($0) }, within: 1e-5) { t.exp() }
    try expect(x.map { tanh($0) }) { t.tanh() }
    try expect(x.map { sin($0) }) { t.sin() }
    try expect(x.map { cos($0) }) { t.cos() }
    try expect(x.map { $0 / (1 + exp(-$0)) }) { t.silu() }
    try expect([log(0.5), 0, log(4.0)]) { vector(0.5, 1, 4).log() }
    try expect([0.5, 1, 2]) { vector(0.25, 1, 4).squareRoot() }
  }

  @Test func powers() throws {
    try expect([1, 4, 9]) { a.power(2) }
    try expect([2, 0.25, 8]) { .power(2, a) }
    try expect([1e4, 100, 1], within: 1e-2) { .power(10_000, vector(1, 0.5, 0)) }
  }

  @Test func addcmul() throws {
    try expect([1 + 8, -2 + 10, 3 - 16]) { a.addcmul(b, vector(2)) }
  }

  @Test func comparisons() throws {
    let c = vector(1, 2, 3)
    try expect([1, 0, 1]) { a .== c }
    try expect([0, 1, 0]) { a .< c }
    try expect([1, 1, 1]) { a .<= c }
    try expect([0, 1, 0]) { a .< 1.0 }
    try expect([0, 0, 1]) { a .> 1.0 }
    try expect([0, 1, 0]) { integers(4, 5, 6) .== 5 }
    #expect((a .== c).dtype == .bool)
    try expect([0, 1, 0]) { (a .== c).not() }
  }

  @Test func whereAndMasks() throws {
    let mask = Tensor([true, false, true])
    try expect([1, 5, 3]) { .where(mask, a, b) }
    try expect([-9, -2, -9]) { a.maskedFill(mask, -9) }
    try expect([1, 0, 0]) { vector(1, .infinity, .nan).isFinite() }
  }

  @Test func dtypesArePromoted() {
    #expect((integers(1) + vector(1)).dtype == .float32)
    #expect((vector(1) + Tensor([1.0])).dtype == .float64)
    #expect((vector(1).to(.bfloat16) + vector(1).to(.float16)).dtype == .float32)
  }
}
